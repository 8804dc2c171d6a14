import type { Settings } from '../config/options.js';
import { IdentityIssuer, type IdentitySettings } from '../identity/identity-issuer.js';
import { IdentityKeys } from '../identity/identity-keys.js';
import { Images } from '../images/image-library.js';
import { Registry } from '../instances/registry.js';
import type { Log } from '../log.js';
import { Store } from '../store/store.js';
import type { Building, DaemonContext } from './context.js';

export interface StoreParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly images: Images;
  readonly identityKeys: IdentityKeys;
  readonly identityIssuer: IdentityIssuer;
}

/**
 * Opens the store and reads everything from it.
 * @throws Fault
 */
export async function buildStore({ settings, log }: DaemonContext, built: Building<StoreParts>): Promise<StoreParts> {
  const { stateDir } = settings;
  const store = new Store(stateDir);
  await store.open();
  built.store = store;
  const registry = new Registry(store);
  registry.on('notStored', (error) =>
    log.error({ err: error }, 'an exit could not be stored; it holds, and is stored as soon as the store works'),
  );
  registry.on('notTold', (error) => log.error({ err: error }, 'operators were not told of a change'));
  registry.on('storedAfterAll', (changes) => log.info({ changes }, 'stored after all'));
  await registry.load();
  built.registry = registry;
  log.info({ stateDir, instances: registry.size }, 'store loaded');
  const images = new Images(store, stateDir);
  await images.load();
  built.images = images;
  const identityKeys = new IdentityKeys(store);
  await identityKeys.load();
  const checked = store.check();
  if (registry.size <= checkedAtOnce) await checked;
  else checked.catch((error: unknown) => endDamaged(error, log));
  const identityIssuer = new IdentityIssuer(identityKeys, () => identitySettings(settings));
  return { store, registry, images, identityKeys, identityIssuer };
}

/** Guests of a host that has more do not wait until all of it has been looked at. */
const checkedAtOnce = 20_000;

/** Nothing has been written since the start. */
function endDamaged(error: unknown, log: Log): void {
  log.fatal({ err: error }, 'the store is damaged; devlxd stops');
  process.exitCode = 1;
  process.kill(process.pid, 'SIGTERM');
}

function identitySettings({ identityIssuer, identityTrustDomain, identitySeconds }: Settings): IdentitySettings {
  return { issuer: identityIssuer, trustDomain: identityTrustDomain, seconds: identitySeconds };
}

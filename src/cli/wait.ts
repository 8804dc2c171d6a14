import { type Command, Option } from 'commander';
import { Fault } from '../errors.js';
import { print } from './output.js';
import { type HostClient, isOfFleet } from './with-client.js';

/** A change that hosts of a fleet are waited for with. */
type Changed = { readonly instance: string } | { readonly profile: string };

interface Applied {
  readonly hosts: Readonly<Record<string, 'applied' | 'behind' | 'away' | 'held' | 'refused'>>;
}

const usualSeconds = '60';

const problems = {
  behind: 'does not have it yet',
  held: 'holds back what etcd says; see "devlxd fleet hosts"',
  refused: 'refuses it; "devlxd fleet hosts --format json" says why',
} as const;

export function waitOption(): Option {
  return new Option('--wait [seconds]', 'of a fleet: until each host that is there has told its guests').preset(
    usualSeconds,
  );
}

/**
 * Waits, where that is asked for, until the hosts have a change; says which are away.
 * @throws Fault, when a host that is there does not have it
 */
export async function waitForHosts(command: Command, client: HostClient, changed: Changed): Promise<void> {
  const seconds = command.getOptionValue('wait') as string | undefined;
  if (seconds === undefined || !isOfFleet(command)) return;
  const { project } = command.optsWithGlobals() as { project: string };
  const query = new URLSearchParams({ ...changed, project, timeout: seconds });
  const { hosts } = (await client.request('GET', `/1.0/fleet/applied?${query}`)) as Applied;
  const entries = Object.entries(hosts);
  const away = entries.flatMap(([host, state]) => (state === 'away' ? [host] : []));
  if (away.length > 0) print(`Away, and will have it when they are back: ${away.join(', ')}`);
  const failed = entries.flatMap(([host, state]) =>
    state === 'applied' || state === 'away' ? [] : [`${host} ${problems[state]}`],
  );
  if (failed.length > 0) throw new Fault('fleet-away', `It is in etcd, but ${failed.join('; ')}.`);
}

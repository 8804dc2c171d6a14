import { dialects } from '../config/dialects.js';
import { Fault } from '../errors.js';
import type { Instance, Profile } from '../model/instance.js';

/** What of an instance an operator asks to change. */
type Part = 'description' | 'run';

/**
 * The instance, if this part of it may be changed here: LXD and Incus say which of theirs run, a fleet does not.
 * @throws Fault belongs-to-source
 */
export function own(instance: Instance, part: Part = 'description'): Instance {
  const { name, source, placement } = instance;
  if (placement !== undefined) return ofEndpoint(instance, placement.host, part);
  if (source === undefined || (source === 'etcd' && part === 'run')) return instance;
  if (source === 'etcd') throw ofTheFleet(`The instance "${name}"`);
  const { title, tool } = dialects[source];
  throw new Fault('belongs-to-source', `The instance "${name}" belongs to ${title}; change it with ${tool}`);
}

/**
 * The profile, if it may be changed here.
 * @throws Fault belongs-to-source
 */
export function ownProfile(profile: Profile): Profile {
  if (profile.source === undefined) return profile;
  throw ofTheFleet(`The profile "${profile.name}"`);
}

/** All of it is changed for the fleet, but for what only its host can say. */
function ofEndpoint(instance: Instance, host: string, part: Part): Instance {
  if (part === 'description') return instance;
  throw new Fault('belongs-to-source', `The instance "${instance.name}" starts and stops on its host, ${host}, alone`);
}

function ofTheFleet(what: string): Fault {
  return new Fault(
    'belongs-to-source',
    `${what} belongs to the fleet; change it there: devlxd --fleet (docs/fleet.md)`,
  );
}

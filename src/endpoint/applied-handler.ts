import { type ControlHandler, type ControlRequest, sync } from '../control/control-reply.js';
import { projectOf } from '../control/request-project.js';
import { invalid } from '../errors.js';
import { hasApplied } from '../fleet/fleet-hosts.js';
import type { FleetKeys } from '../fleet/fleet-keys.js';
import type { FleetView } from '../fleet/fleet-view.js';
import type { SeenHost, SeenHosts } from '../fleet/seen-hosts.js';
import { keyOf } from '../instances/record-table.js';

const longestSeconds = 3600;

/** What a change is about, and which hosts it concerns. */
interface Concerned {
  /** as hosts name it in what they refuse */
  readonly label: string;
  readonly revision: string;
  readonly hosts: readonly SeenHost[];
}

/**
 * GET /1.0/fleet/applied?instance=NAME or ?profile=NAME: answered when every host that it concerns has told its guests
 * of the latest version of it, but for those that are away, hold back what etcd says, or refuse it; at the latest after
 * ?timeout= seconds.
 */
export function appliedHandler(view: FleetView, hosts: SeenHosts, keys: FleetKeys): ControlHandler {
  return async (request) => {
    const { label, revision, hosts: concerned } = concernedBy(request, view, hosts, keys);
    const stateOf = (host: SeenHost): 'applied' | 'behind' | 'away' | 'held' | 'refused' => {
      const { told } = host;
      if (told === undefined) return 'away';
      if (told.held !== '') return 'held';
      if (!hasApplied(told.applied, revision)) return 'behind';
      return told.refused.some(({ name }) => name === label) ? 'refused' : 'applied';
    };
    const isDone = (): boolean => concerned.every((host) => stateOf(host) !== 'behind');
    await hosts.until(isDone, AbortSignal.timeout(secondsOf(request) * 1000));
    return sync({ revision, hosts: Object.fromEntries(concerned.map((host) => [host.host, stateOf(host)])) });
  };
}

/** @throws Fault not-found or invalid-value */
function concernedBy(request: ControlRequest, view: FleetView, hosts: SeenHosts, keys: FleetKeys): Concerned {
  const { registry } = view;
  const project = projectOf(request, registry);
  const instance = request.query.get('instance');
  const profile = request.query.get('profile');
  if (instance !== null) {
    const { placement } = registry.need(project, instance);
    const host = placement === undefined ? [] : [hosts.get(placement.host)];
    const revision = view.revisionOf(keys.instance(placement?.host ?? '', project, instance));
    return { label: `instance ${keyOf(project, instance)}`, revision, hosts: host };
  }
  if (profile === null) throw invalid('instance', 'is missing: name an instance, or a profile');
  const { id } = registry.needProfile(project, profile);
  const names = new Set<string>();
  for (const { profiles, placement } of registry.instances())
    if (placement !== undefined && profiles.some((used) => used.id === id)) names.add(placement.host);
  const revision = view.revisionOf(keys.profile(project, profile));
  const concerned = [...names].sort().map((name) => hosts.get(name));
  return { label: `profile ${keyOf(project, profile)}`, revision, hosts: concerned };
}

function secondsOf({ query }: ControlRequest): number {
  const seconds = Number(query.get('timeout') || '60');
  if (seconds >= 0 && seconds <= longestSeconds) return seconds;
  throw invalid('timeout', `takes seconds from 0 to ${longestSeconds}`);
}

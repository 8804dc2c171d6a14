import type { EtcdConnection } from '../etcd/etcd-connection.js';
import type { KeyValue } from '../etcd/etcd-messages.js';
import type { FleetKeys } from './fleet-keys.js';

/** Of a fleet, what a command about one instance has to know. */
export interface PartOfFleet {
  readonly project: string;
  readonly instance: string;
  /** a host that is named; '': any that there is may be meant; undefined: none but that of the instance */
  readonly target?: string | undefined;
}

/** Requests that are made at once where something is asked of each host. */
const atOnce = 32;

/** The keys of an instance, and of the hosts that may have it. */
export async function readPart(
  connection: EtcdConnection,
  keys: FleetKeys,
  { project, instance, target }: PartOfFleet,
): Promise<KeyValue[]> {
  const place = await connection.get(keys.place(project, instance));
  const described = (host: string) => connection.get(keys.instance(host, project, instance));
  const named = place && (await described(place.value.toString()));
  // One that was put by hand has no place; then each host is asked.
  const all = named === undefined || target === '' ? await hostsIn(connection, keys) : [];
  const others = named === undefined ? await each(all, described) : [];
  const instances = [named, ...others].filter((kv) => kv !== undefined);
  const own = instances.map(({ key }) => key.toString().slice(keys.hosts.length).split('/', 1)[0] as string);
  const asked = target === '' ? all : await existing(connection, keys, target);
  const hosts = [...new Set([...own, ...asked])];
  const statuses = [
    ...(await each(hosts, (host) => connection.get(keys.hostStatus(host)))),
    ...(await each(hosts, (host) => connection.get(keys.seen(host)))), // of those that are away
    ...(await each(own, (host) => connection.get(keys.instanceStatus(host, project, instance)))),
  ];
  return [place, ...instances, ...statuses].filter((kv) => kv !== undefined);
}

/** Hosts that are named in etcd, or tell something there. */
async function hostsIn(connection: EtcdConnection, keys: FleetKeys): Promise<string[]> {
  const [described, telling] = await Promise.all([connection.names(keys.hosts), connection.names(keys.statuses)]);
  return [...new Set([...described, ...telling])];
}

async function existing(connection: EtcdConnection, keys: FleetKeys, host = ''): Promise<string[]> {
  if (host === '' || host.includes('/')) return [];
  const isDescribed = (await connection.newest(keys.host(host))) !== '0';
  return isDescribed || (await connection.newest(keys.status(host))) !== '0' ? [host] : [];
}

/** In the order of the items. */
export async function each<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let first = 0; first < items.length; first += atOnce)
    results.push(...(await Promise.all(items.slice(first, first + atOnce).map(work))));
  return results;
}

import type { Place } from '../control/place.js';
import { Fault, invalid } from '../errors.js';
import type { SeenHost, SeenHosts } from '../fleet/seen-hosts.js';
import type { Transaction } from '../instances/registry.js';

/** The host that is named; else, as LXD's clusters do it, the one with the fewest instances of those that are there. */
export function placeOn(hosts: SeenHosts): Place {
  return (target, transaction) => {
    if (target === '') return fewest(hosts, transaction);
    const named = hosts.known(target);
    if (named !== undefined) return named;
    throw invalid('target', `the fleet has no host "${target}"; "devlxd fleet hosts" shows which there are`);
  };
}

function fewest(hosts: SeenHosts, transaction: Transaction): SeenHost {
  const counts = new Map<SeenHost, number>(
    hosts.list().flatMap((host) => (host.told === undefined ? [] : [[host, 0]])),
  );
  for (const { placement } of transaction.values()) {
    const host = placement && hosts.known(placement.host);
    const count = host && counts.get(host);
    if (host !== undefined && count !== undefined) counts.set(host, count + 1);
  }
  // What it tells counts where not all of its instances have been read; it is a moment late.
  const most = ([{ told }, count]: [SeenHost, number]): number => Math.max(count, told?.instances ?? 0);
  const [first] = [...counts].sort((a, b) => most(a) - most(b));
  if (first !== undefined) return first[0];
  throw new Fault('fleet-away', 'No host of the fleet is there to have it; name one with --target');
}

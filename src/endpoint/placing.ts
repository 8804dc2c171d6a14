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
  const there = hosts.list().filter(({ told }) => told !== undefined);
  const counts = new Map<string, number>();
  for (const { placement } of transaction.values())
    if (placement !== undefined) counts.set(placement.host, (counts.get(placement.host) ?? 0) + 1);
  // What it tells counts where not all of its instances have been read; it is a moment late.
  const most = ({ host, told }: SeenHost): number => Math.max(counts.get(host) ?? 0, told?.instances ?? 0);
  const [first] = there.sort((a, b) => most(a) - most(b));
  if (first !== undefined) return first;
  throw new Fault('fleet-away', 'No host of the fleet is there to have it; name one with --target');
}

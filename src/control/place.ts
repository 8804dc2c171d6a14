import { invalid } from '../errors.js';
import type { Transaction } from '../instances/registry.js';
import type { Placement } from '../model/instance.js';

/**
 * Chooses the host of an instance. target: as the client named it; '': any will do
 * @returns undefined: this host
 * @throws Fault
 */
export type Place = (target: string, transaction: Transaction) => Placement | undefined;

/** Of a daemon, which is one host. */
export const noPlace: Place = (target) => {
  if (target === '') return undefined;
  throw invalid('target', 'only a fleet has several hosts: devlxd --fleet (docs/fleet.md)');
};

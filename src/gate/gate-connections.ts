// What the addon gives as one array of numbers, so that a call of thousands makes no objects there.

/** A connection that is given away; its receiver closes the descriptor. */
export interface GateConnection {
  readonly fd: number;
  /** of the instance that it belongs to; -1: the caller is identified again */
  readonly slot: number;
  readonly root: boolean;
  /** for that: the start of the process that connected, where it is told by its pid; else 0 */
  readonly startTicks: number;
  /** of a held caller; else 0 */
  readonly ticket: number;
  /** a file in memory with what was read and not answered: the first part of a request, or more; -1: nothing was */
  readonly part: number;
}

/** A caller that is held for its instance to be registered. */
export interface HeldCaller {
  /** its number, also in the next process */
  readonly ticket: number;
  /** of its connection; the gate's, until `onLetGo` */
  readonly fd: number;
  /** the start of the process that connected, where it is told by its pid; else 0 */
  readonly startTicks: number;
}

/** What `takeForHandover` of the addon gives. */
export function gateConnections(flat: readonly number[]): GateConnection[] {
  return inGroups<[number, number, number, number, number, number]>(flat, 6).map(
    ([fd, slot, root, startTicks, ticket, part]) => ({ fd, slot, root: root === 1, startTicks, ticket, part }),
  );
}

/** What the addon gives to `onHeld`. */
export function heldCallers(flat: readonly number[]): HeldCaller[] {
  return inGroups<[number, number, number]>(flat, 3).map(([ticket, fd, startTicks]) => ({ ticket, fd, startTicks }));
}

function inGroups<Group extends number[]>(flat: readonly number[], length: Group['length']): Group[] {
  const count = flat.length / length;
  return Array.from({ length: count }, (_, i) => flat.slice(i * length, (i + 1) * length) as Group);
}

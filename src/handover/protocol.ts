import { closeSync } from 'node:fs';
import { isConnection } from '../gate/unix-socket.js';

/** The listening sockets by name; source: the guests' of --source. They outlive the process that accepts on them. */
export const socketNames = ['guest', 'control', 'source'] as const;
export type SocketName = (typeof socketNames)[number];

/** A connection on which nothing is under way; another process goes on with it. */
export interface HandoverConnection {
  readonly fd: number;
  /** on which it was accepted */
  readonly socket: SocketName;
  /** a guest, as the process that accepted it found out; undefined: to be found out anew */
  readonly caller: HandoverCaller | undefined;
  /** for that: `Parting`'s */
  readonly startTicks?: number;
}

export interface HandoverCaller {
  readonly instanceId: number;
  /** start of the init for which it was accepted */
  readonly startTicks: number;
  readonly root: boolean;
}

/** What a process finds when it starts in place of another one. */
export interface Inheritance {
  readonly sockets: ReadonlyMap<SocketName, number>;
  /** the sockets whose files are this process's to remove; a service manager's are not */
  readonly bound: ReadonlySet<SocketName>;
  readonly connections: readonly HandoverConnection[];
}

const keptPrefix = 'kept';
const keptOperator = 'operator';

/** A name that says whose a connection is: the service manager keeps it beside the descriptor. */
export function descriptorName({ socket, caller, startTicks = 0 }: Omit<HandoverConnection, 'fd'>): string {
  if (socket === 'control') return keptOperator;
  if (caller === undefined) return startTicks === 0 ? keptPrefix : `${keptPrefix}.${startTicks}`;
  return [keptPrefix, caller.instanceId, caller.startTicks, Number(caller.root)].join('.');
}

/** Is it the name of a connection? Perhaps one that only another version understands. */
export function isConnectionName(name: string): boolean {
  return name === keptOperator || name === keptPrefix || name.startsWith(`${keptPrefix}.`);
}

/** The connections that came under a name; what is none, or cannot be understood, is closed. */
export function connectionsNamed(name: string, descriptors: readonly number[]): HandoverConnection[] {
  return descriptors.flatMap((fd) => {
    const kept = isConnection(fd) ? connectionNamed(name, fd) : undefined;
    if (kept === undefined) closeSync(fd);
    return kept ?? [];
  });
}

/** undefined: no such name */
export function connectionNamed(name: string, fd: number): HandoverConnection | undefined {
  if (name === keptOperator) return { fd, socket: 'control', caller: undefined };
  if (name === keptPrefix) return { fd, socket: 'guest', caller: undefined };
  const [, connected] = /^kept\.(\d+)$/.exec(name) ?? [];
  if (connected !== undefined) return { fd, socket: 'guest', caller: undefined, startTicks: Number(connected) };
  const [, instanceId, startTicks, root] = /^kept\.(\d+)\.(\d+)\.([01])$/.exec(name) ?? [];
  if (root === undefined) return undefined;
  const caller = { instanceId: Number(instanceId), startTicks: Number(startTicks), root: root === '1' };
  return { fd, socket: 'guest', caller };
}

/** Connections by name, since one message may carry many descriptors of the same name. */
export function byDescriptorName(
  connections: readonly HandoverConnection[],
  most: number,
): [name: string, fds: number[]][] {
  const groups = new Map<string, number[][]>();
  for (const { fd, ...whose } of connections) {
    const name = descriptorName(whose);
    const group = groups.get(name) ?? [[]];
    groups.set(name, group);
    if ((group.at(-1) as number[]).length === most) group.push([]);
    (group.at(-1) as number[]).push(fd);
  }
  return [...groups].flatMap(([name, group]) => group.map((fds): [string, number[]] => [name, fds]));
}

export function closeAll(connections: readonly Pick<HandoverConnection, 'fd'>[]): void {
  for (const { fd } of connections) closeSync(fd);
}

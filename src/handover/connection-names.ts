import { closeSync } from 'node:fs';
import { isConnection } from '../gate/unix-socket.js';
import type { HandoverConnection } from './protocol.js';

const guestPrefix = 'connection';
const controlName = 'control-connection';

/** A name that says which caller a connection is of: it lies beside the descriptor, also in a service manager. */
export function connectionName({ socket, caller, startTicks = 0 }: Omit<HandoverConnection, 'fd'>): string {
  if (socket === 'control') return controlName;
  if (caller === undefined) return startTicks === 0 ? guestPrefix : `${guestPrefix}.${startTicks}`;
  return [guestPrefix, caller.instanceId, caller.startTicks, Number(caller.root)].join('.');
}

/** Is it the name of a connection? Another version may have names that this one does not understand. */
export function isConnectionName(name: string): boolean {
  return name === controlName || name === guestPrefix || name.startsWith(`${guestPrefix}.`);
}

/** The connections that came under a name; a descriptor that is no connection, or not understood, is closed. */
export function connectionsNamed(name: string, descriptors: readonly number[]): HandoverConnection[] {
  return descriptors.flatMap((fd) => {
    const connection = isConnection(fd) ? connectionNamed(name, fd) : undefined;
    if (connection === undefined) closeSync(fd);
    return connection ?? [];
  });
}

/** undefined: the name is not understood */
export function connectionNamed(name: string, fd: number): HandoverConnection | undefined {
  if (name === controlName) return { fd, socket: 'control', caller: undefined };
  if (name === guestPrefix) return { fd, socket: 'guest', caller: undefined };
  const [, connected] = /^connection\.(\d+)$/.exec(name) ?? [];
  if (connected !== undefined) return { fd, socket: 'guest', caller: undefined, startTicks: Number(connected) };
  const [, instanceId, startTicks, root] = /^connection\.(\d+)\.(\d+)\.([01])$/.exec(name) ?? [];
  if (root === undefined) return undefined;
  const caller = { instanceId: Number(instanceId), startTicks: Number(startTicks), root: root === '1' };
  return { fd, socket: 'guest', caller };
}

/** Connections by name: one message carries up to `most` descriptors of the same name. */
export function byConnectionName(
  connections: readonly HandoverConnection[],
  most: number,
): [name: string, fds: number[]][] {
  const groups = new Map<string, number[][]>();
  for (const { fd, ...rest } of connections) {
    const name = connectionName(rest);
    const group = groups.get(name) ?? [[]];
    groups.set(name, group);
    if ((group.at(-1) as number[]).length === most) group.push([]);
    (group.at(-1) as number[]).push(fd);
  }
  return [...groups].flatMap(([name, group]) => group.map((fds): [string, number[]] => [name, fds]));
}

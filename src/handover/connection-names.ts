import { closeSync } from 'node:fs';
import { isConnection } from '../gate/unix-socket.js';
import { descriptorsOf, type HandoverConnection } from './protocol.js';

const guestPrefix = 'connection';
const controlName = 'control-connection';
const heldPrefix = 'held';

/**
 * A name that says which caller a connection is of: it lies beside the descriptor, also in a service manager. A connection
 * with a part of a request has a name of its own, which both descriptors have.
 */
export function connectionName(connection: Omit<HandoverConnection, 'fd'>): string {
  const { socket, caller, startTicks = 0, ticket, part } = connection;
  if (socket === 'control') return controlName;
  if (ticket !== undefined) return [heldPrefix, ticket, startTicks].join('.');
  if (caller === undefined) return startTicks === 0 ? guestPrefix : `${guestPrefix}.${startTicks}`;
  const name = [guestPrefix, caller.instanceId, caller.startTicks, Number(caller.root)];
  return (part === undefined ? name : [...name, `part${part}`]).join('.');
}

/** Is it the name of a connection? Another version may have names that this one does not understand. */
export function isConnectionName(name: string): boolean {
  return name === controlName || name === guestPrefix || /^(?:connection|held)\./.test(name);
}

/** The connections that came under a name; a descriptor that is no connection, or not understood, is closed. */
export function connectionsNamed(name: string, descriptors: readonly number[]): HandoverConnection[] {
  const sockets = descriptors.filter((fd) => isConnection(fd));
  const found = sockets.flatMap((fd) => connectionNamed(name, fd) ?? []);
  const parts = descriptors.filter((fd) => !sockets.includes(fd));
  const understood = name.includes('.part') ? withPart(found, parts) : found;
  const kept = understood.flatMap(descriptorsOf);
  for (const fd of descriptors) if (!kept.includes(fd)) closeSync(fd);
  return understood.map((connection) => ({ ...connection, name }));
}

/** There is one of each: without its other part a request would become another one. */
function withPart(
  [connection, ...others]: readonly HandoverConnection[],
  parts: readonly number[],
): HandoverConnection[] {
  const [part] = parts;
  const isWhole = connection !== undefined && others.length === 0 && parts.length === 1;
  return isWhole ? [{ ...connection, part }] : [];
}

/** undefined: the name is not understood */
export function connectionNamed(name: string, fd: number): HandoverConnection | undefined {
  if (name === controlName) return { fd, socket: 'control', caller: undefined };
  if (name === guestPrefix) return { fd, socket: 'guest', caller: undefined };
  const [, ticket, start] = /^held\.([1-9]\d*)\.(\d+)$/.exec(name) ?? [];
  if (ticket !== undefined)
    return { fd, socket: 'guest', caller: undefined, startTicks: Number(start), ticket: Number(ticket) };
  const [, connected] = /^connection\.(\d+)$/.exec(name) ?? [];
  if (connected !== undefined) return { fd, socket: 'guest', caller: undefined, startTicks: Number(connected) };
  const [, instanceId, startTicks, root] = /^connection\.(\d+)\.(\d+)\.([01])(?:\.part\d+)?$/.exec(name) ?? [];
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
  for (const connection of connections) {
    const name = connectionName(connection);
    const group = groups.get(name) ?? [[]];
    groups.set(name, group);
    if ((group.at(-1) as number[]).length === most) group.push([]);
    (group.at(-1) as number[]).push(...descriptorsOf(connection));
  }
  return [...groups].flatMap(([name, group]) => group.map((fds): [string, number[]] => [name, fds]));
}

/**
 * The connections, by name, that another program may be started with: their names are one variable of its environment
 * (LISTEN_FDNAMES), of which the kernel takes 128 KiB. The others are left out.
 */
export function withinEnvironment(
  groups: readonly [name: string, fds: number[]][],
  mostBytes: number,
): [name: string, fds: number[]][] {
  let left = mostBytes;
  return groups.flatMap(([name, fds]): [string, number[]][] => {
    const fit = fds.slice(0, Math.floor(left / (name.length + 1)));
    left -= fit.length * (name.length + 1);
    return fit.length === 0 ? [] : [[name, fit]];
  });
}

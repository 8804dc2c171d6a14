import { closeSync } from 'node:fs';
import type { Counts } from './counts.js';
import type { HandedMetricsSocket } from './metrics-socket.js';
import type { FileId } from './run-directory.js';

/**
 * The listening sockets; source: the guest socket of --source; vsock: of virtual machines, bound by a service manager;
 * own-vsock: the one of --vsock-port. They outlive the process that accepts on them.
 */
export const socketNames = ['guest', 'control', 'source', 'vsock', 'own-vsock'] as const;
/** The one of the metrics, which need not be a Unix socket. */
export const metricsName = 'metrics';
export type SocketName = (typeof socketNames)[number];

/** An idle connection, or one of a held caller; another process goes on with it. */
export interface HandoverConnection {
  readonly fd: number;
  /** the listening socket on which it was accepted */
  readonly socket: SocketName;
  /** the guest, as identified at accept; undefined: to be identified again */
  readonly caller: HandoverCaller | undefined;
  /** for that: start of the process that connected, where it is known by its pid alone */
  readonly startTicks?: number;
  /** of a held caller whose connection lies in the service manager's descriptor store, and stays there */
  readonly ticket?: number | undefined;
  /** a file in memory: what was read from the connection and not answered, which goes before what is read next */
  readonly part?: number | undefined;
  /** under which it was received */
  readonly name?: string;
}

export interface HandoverCaller {
  readonly instanceId: number;
  /** start of the init that ran at accept */
  readonly startTicks: number;
  readonly root: boolean;
}

/** What the old process gives to the new one. */
export interface Handover {
  readonly sockets: ReadonlyMap<SocketName, number>;
  /** the sockets whose files this process removes; a service manager's stay */
  readonly bound: ReadonlyMap<SocketName, FileId>;
  readonly connections: readonly HandoverConnection[];
  readonly metrics: HandedMetricsSocket | undefined;
  /** left out: the new process begins at 0 */
  readonly counts?: Counts;
}

/** Where `devlxd serve --takeover` asks for the handover, on the control socket. */
export const takeoverPath = '/1.0/takeover';
export const takeoverUpgrade = 'devlxd-takeover';

/** What the new process says once it answers callers: the old one may end. */
export const readyLine = 'ready\n';

/** One line from the old process to the new one; the descriptors that it names are sent with it. */
export interface HandoverLine {
  readonly socket?: SocketName | typeof metricsName;
  /** left out: the file of the socket is not this process's to remove */
  readonly file?: FileId;
  /** of the socket of the metrics: --metrics-listen with which it was bound; left out: a service manager has bound it */
  readonly address?: string | undefined;
  /** the name of connections */
  readonly connections?: string;
  /** a part of them */
  readonly counts?: Counts;
  /** of descriptors; a line that names nothing is the last, and for an older devlxd one with counts is */
  readonly count: number;
}

export function closeAll(connections: readonly Pick<HandoverConnection, 'fd' | 'part'>[]): void {
  for (const connection of connections) for (const fd of descriptorsOf(connection)) closeSync(fd);
}

export function descriptorsOf({ fd, part }: Pick<HandoverConnection, 'fd' | 'part'>): number[] {
  return part === undefined ? [fd] : [fd, part];
}

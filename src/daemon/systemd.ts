import { closeSync } from 'node:fs';
import { Fault } from '../errors.js';
import { duplicate, listens, notifyManager, tryNotifyManager } from '../gate/unix-socket.js';
import { vsockPortOf } from '../gate/vsock.js';
import {
  byConnectionName,
  connectionsNamed,
  isConnectionName,
  withinEnvironment,
} from '../handover/connection-names.js';
import type { ConnectionStore } from '../handover/held-connections.js';
import {
  type Handover,
  type HandoverConnection,
  metricsName,
  type SocketName,
  socketNames,
} from '../handover/protocol.js';
import type { Log } from '../log.js';

type Environment = Record<string, string | undefined>;

/** The first descriptor that a service manager passes (sd_listen_fds(3)). */
const firstDescriptor = 3;

/** Descriptors in one message to the service manager (sd_pid_notify_with_fds(3)). */
const mostStored = 253;

/** Of the names of idle connections; those of held ones, and of sockets, take at most 30 KiB. */
const mostNameBytes = 96 * 1024;

/**
 * The sockets and connections that the service manager has passed to this process; the caller owns their descriptors.
 * @param drop called with names whose descriptors are of no use: a connection without its other part, which has ended
 * meanwhile, or what another version has stored
 * @throws Fault bad-socket
 */
export function handoverFromManager(drop: (name: string) => void, environment: Environment = process.env): Handover {
  const { LISTEN_PID: pid, LISTEN_FDS: count = '0', LISTEN_FDNAMES: names = '' } = environment;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete environment[name];
  const sockets = new Map<SocketName, number>();
  const bound = new Map<SocketName, undefined>();
  const stored = new Map<string, number[]>();
  let metrics: Handover['metrics'];
  if (pid !== String(process.pid)) return { sockets, bound, connections: [], metrics };
  const given = names.split(':');
  // Before any is touched: a descriptor that was not passed may be Node's own.
  if (given.length < Number(count))
    throw new Fault('bad-socket', `The service manager passed ${count} sockets, but ${given.length} names.`);
  for (let i = 0; i < Number(count); i++) {
    const name = given[i] as string;
    const fd = closedOnExec(firstDescriptor + i);
    if (name === metricsName) metrics = metricsSocket(fd, metrics);
    else if (isConnectionName(name) || isLeftOver(name, fd)) stored.set(name, [...(stored.get(name) ?? []), fd]);
    else sockets.set(nameOf(name, fd, sockets), fd);
  }
  const connections = [...stored].flatMap(([name, fds]) => {
    const found = connectionsNamed(name, fds);
    if (found.length === 0) drop(name);
    return found;
  });
  return { sockets, bound, connections, metrics };
}

/** Of any kind: the unit may let it listen on an address. */
function metricsSocket(fd: number, other: Handover['metrics']): Handover['metrics'] {
  if (!listens(fd, false))
    throw new Fault('bad-socket', 'What the service manager passed as "metrics" is no listening stream socket.');
  if (other !== undefined) throw new Fault('bad-socket', 'The service manager passed two sockets named "metrics".');
  return { fd, address: undefined, file: undefined };
}

/** A connection that another version has stored: it is let go of. */
function isLeftOver(name: string, fd: number): boolean {
  return !socketNames.some((socket) => socket === name) && !listens(fd);
}

/** What comes from a service manager is open for programs that this one may start. */
function closedOnExec(fd: number): number {
  const copy = duplicate(fd);
  closeSync(fd);
  return copy;
}

function nameOf(name: string, fd: number, others: ReadonlyMap<SocketName, number>): SocketName {
  const known = socketNames.find((socket) => socket === name);
  if (known === undefined)
    throw new Fault(
      'bad-socket',
      `The service manager passed a socket named "${name}"; name it guest, control, vsock or metrics.`,
    );
  const isVsock = known === 'vsock' || known === 'own-vsock';
  if (isVsock ? vsockPortOf(fd) === 0 : !listens(fd)) {
    const kind = isVsock ? 'stream socket of vsock(7)' : 'Unix stream socket';
    throw new Fault('bad-socket', `What the service manager passed as "${name}" is no listening ${kind}.`);
  }
  if (others.has(known)) throw new Fault('bad-socket', `The service manager passed two sockets named "${name}".`);
  return known;
}

/** Notifies the service manager (sd_notify(3)), if there is one. */
export class ServiceManager implements ConnectionStore {
  readonly #path: string | undefined;
  readonly #watchdogMilliseconds: number;
  readonly #log: Log;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(log: Log, environment: Environment = process.env) {
    this.#log = log;
    this.#path = environment['NOTIFY_SOCKET'] || undefined;
    const { WATCHDOG_USEC: microseconds = '0', WATCHDOG_PID: pid = String(process.pid) } = environment;
    this.#watchdogMilliseconds = pid === String(process.pid) ? Number(microseconds) / 1000 : 0;
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name];
  }

  /** Does a service manager run this process? */
  get present(): boolean {
    return this.#path !== undefined;
  }

  /** The watchdog interval of the service manager; 0: off */
  get watchdogSeconds(): number {
    return this.#watchdogMilliseconds / 1000;
  }

  /** The options are read again; `ready` follows. */
  reloading(): void {
    // Node's clock is CLOCK_MONOTONIC, which is the one that is meant.
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /**
   * Guests and operators are answered.
   * status: one line for `systemctl status`
   */
  ready(status = 'Answering'): void {
    this.#tell(`READY=1\nSTATUS=${status}`);
    if (this.#watchdogMilliseconds === 0 || !this.present) return;
    // By the event loop itself: when that stands still, so does this. Twice in each period, as sd_watchdog_enabled(3) says.
    this.#watchdog ??= setInterval(() => this.#tell('WATCHDOG=1'), this.#watchdogMilliseconds / 2);
    this.#watchdog.unref();
  }

  stopping(): void {
    this.#tell('STOPPING=1\nSTATUS=Answering what was asked');
  }

  /** Stores a listening socket: should this process be killed, callers wait in its backlog until the next one accepts. */
  storeSocket(name: SocketName, fd: number): void {
    this.#tell(`FDSTORE=1\nFDPOLL=0\nFDNAME=${name}`, [fd]);
  }

  dropSocket(name: SocketName): void {
    this.#tell(dropping(name));
  }

  /** Stores connections for the next process; of held callers only what does not lie there already. */
  storeConnections(connections: readonly HandoverConnection[]): void {
    const others = connections.filter(({ ticket }) => ticket === undefined);
    const groups = withinEnvironment(byConnectionName(others, mostStored), mostNameBytes);
    for (const [name, fds] of groups) this.#tell(storing(name), fds);
    const left = groups.reduce((count, [, fds]) => count - fds.length, others.length);
    if (left > 0) this.#log.warn({ connections: left }, 'too many idle connections to keep: these are closed');
  }

  dropConnection(name: string): void {
    this.#tell(dropping(name));
  }

  tryStoreConnection(name: string, fd: number): boolean {
    return this.#path !== undefined && tryNotifyManager(this.#path, storing(name), [fd]);
  }

  tryDropConnection(name: string): boolean {
    return this.#path !== undefined && tryNotifyManager(this.#path, dropping(name));
  }

  #tell(text: string, descriptors: readonly number[] = []): void {
    if (this.#path === undefined) return;
    try {
      notifyManager(this.#path, text, descriptors);
    } catch (error) {
      this.#log.warn({ err: error }, 'service manager not told');
    }
  }
}

function storing(name: string): string {
  return `FDSTORE=1\nFDNAME=${name}`;
}

function dropping(name: string): string {
  return `FDSTOREREMOVE=1\nFDNAME=${name}`;
}

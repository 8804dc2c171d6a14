import { closeSync } from 'node:fs';
import { Fault } from '../errors.js';
import { duplicate, listens, notifyManager } from '../gate/unix-socket.js';
import {
  byDescriptorName,
  connectionsNamed,
  descriptorName,
  type HandoverConnection,
  type Inheritance,
  isConnectionName,
  type SocketName,
  socketNames,
} from '../handover/protocol.js';
import type { Log } from '../log.js';

type Environment = Record<string, string | undefined>;

/** The first descriptor that a service manager passes (sd_listen_fds(3)). */
const firstDescriptor = 3;

/** Descriptors in one message to the service manager (sd_pid_notify_with_fds(3)). */
const mostStored = 253;

/**
 * The sockets and connections that the service manager has passed to this process; none when it has not. Their
 * descriptors belong to whoever asks, once.
 * @throws Fault bad-socket
 */
export function inheritedFromManager(environment: Environment = process.env): Inheritance {
  const { LISTEN_PID: pid, LISTEN_FDS: count = '0', LISTEN_FDNAMES: names = '' } = environment;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete environment[name];
  const sockets = new Map<SocketName, number>();
  const bound = new Set<SocketName>();
  const connections: HandoverConnection[] = [];
  if (pid !== String(process.pid)) return { sockets, bound, connections };
  const given = names.split(':');
  // Before any is touched: what nobody has passed may be Node's own.
  if (given.length < Number(count))
    throw new Fault('bad-socket', `The service manager passed ${count} sockets, but ${given.length} names.`);
  for (let i = 0; i < Number(count); i++) {
    const name = given[i] as string;
    const fd = closedOnExec(firstDescriptor + i);
    if (isConnectionName(name)) connections.push(...connectionsNamed(name, [fd]));
    else sockets.set(nameOf(name, fd, sockets), fd);
  }
  return { sockets, bound, connections };
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
    throw new Fault('bad-socket', `The service manager passed a socket named "${name}"; name it guest or control.`);
  if (!listens(fd))
    throw new Fault('bad-socket', `What the service manager passed as "${name}" is no listening Unix stream socket.`);
  if (others.has(known)) throw new Fault('bad-socket', `The service manager passed two sockets named "${name}".`);
  return known;
}

/** What the service manager hears of (sd_notify(3)); nothing, when there is none. */
export class ServiceManager {
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

  /** Is there one? */
  get present(): boolean {
    return this.#path !== undefined;
  }

  /** Within which it wants to hear of this process; 0: it does not. */
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
   * inherited: what it need not keep any longer; status: one line for whoever asks how the service is
   */
  ready(inherited: readonly HandoverConnection[] = [], status = 'Answering'): void {
    for (const name of new Set(inherited.map(descriptorName))) this.#tell(`FDSTOREREMOVE=1\nFDNAME=${name}`);
    this.#tell(`READY=1\nSTATUS=${status}`);
    if (this.#watchdogMilliseconds === 0 || !this.present) return;
    // By the event loop itself: when that stands still, so does this. Twice in each period, as sd_watchdog_enabled(3) says.
    this.#watchdog ??= setInterval(() => this.#tell('WATCHDOG=1'), this.#watchdogMilliseconds / 2);
    this.#watchdog.unref();
  }

  stopping(): void {
    this.#tell('STOPPING=1\nSTATUS=Answering what was asked');
  }

  /** Callers wait on it, should this process be killed, until the next one accepts. */
  keepSocket(name: SocketName, fd: number): void {
    this.#tell(`FDSTORE=1\nFDPOLL=0\nFDNAME=${name}`, [fd]);
  }

  dropSocket(name: SocketName): void {
    this.#tell(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }

  /** Gives connections to the service manager, which gives them to the next process. */
  keep(connections: readonly HandoverConnection[]): void {
    for (const [name, fds] of byDescriptorName(connections, mostStored)) this.#tell(`FDSTORE=1\nFDNAME=${name}`, fds);
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

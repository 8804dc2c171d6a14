import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { Fault } from '../errors.js';
import { trySendMessage } from '../gate/unix-socket.js';
import { byConnectionName } from './connection-names.js';
import { noCounts, partsOf } from './counts.js';
import { type Handover, type HandoverLine, metricsName, readyLine, takeoverUpgrade } from './protocol.js';

/** Descriptors in one message; the kernel takes 253. */
const mostAtOnce = 200;

/** Between two looks whether the new process has made room for the next message. */
const retryMilliseconds = 20;

/** How often the new process hears, while the daemon stops, that this process has not hung. */
const aliveMilliseconds = 1000;

/** failed: the new process has ended; hung: it was not ready in time and has been ended */
type Outcome = 'ready' | 'failed' | 'hung';

interface Asking {
  readonly uid: number;
  readonly pid: number;
  readonly fd: number;
}

/** The new process, seen from the old one. */
export class NewProcess {
  readonly #socket: Duplex;
  readonly #fd: number;
  readonly #pid: number;
  readonly #alive: NodeJS.Timeout;

  /** socket: on which it has asked; fd: the descriptor of the socket */
  constructor(socket: Duplex, { fd, pid }: Asking) {
    this.#socket = socket;
    this.#fd = fd;
    this.#pid = pid;
    this.#alive = setInterval(() => socket.write('\n'), aliveMilliseconds);
    socket.once('close', () => clearInterval(this.#alive));
  }

  /**
   * The store is closed: gives everything away, and waits until the new process answers callers. Unless the outcome is
   * ready, that process has ended and this one goes on.
   * @param seconds for all of it; 0: as long as it takes
   */
  async give(handover: Handover, seconds: number): Promise<Outcome> {
    clearInterval(this.#alive);
    const answer = this.#answer();
    const timeout = new AbortController();
    const hung = seconds === 0 ? undefined : this.#hangs(seconds, timeout.signal);
    void this.#giveAll(handover, timeout.signal).catch(() => this.#socket.destroy());
    const outcome = await Promise.race(hung === undefined ? [answer] : [answer, hung]);
    timeout.abort();
    if (outcome === 'hung') await this.#end(answer);
    this.#socket.destroy();
    return outcome;
  }

  #answer(): Promise<Outcome> {
    return new Promise((resolve) => {
      let text = '';
      this.#socket.on('data', (data: Buffer) => {
        text = (text + data.toString('latin1')).slice(-readyLine.length);
        if (text === readyLine) resolve('ready');
      });
      this.#socket.once('close', () => resolve('failed'));
      if (this.#socket.destroyed) resolve('failed');
    });
  }

  /** What came while this process itself stood still counts: it is read before the next setImmediate. */
  async #hangs(seconds: number, signal: AbortSignal): Promise<Outcome> {
    await pause(seconds * 1000, undefined, { signal }).catch(() => undefined);
    await new Promise(setImmediate);
    return 'hung';
  }

  /** It may hold the store: SIGKILL works on a stopped process as well. */
  async #end(ended: Promise<Outcome>): Promise<void> {
    try {
      if (this.#pid > 1 && this.#pid !== process.pid) process.kill(this.#pid, 'SIGKILL');
    } catch {
      // Another user's, or gone: the end of the connection tells when this process may go on.
    }
    await ended;
  }

  async #giveAll(
    { sockets, bound, connections, metrics, counts = noCounts }: Handover,
    signal: AbortSignal,
  ): Promise<void> {
    for (const [socket, fd] of sockets) await this.#send({ socket, file: bound.get(socket), count: 1 }, [fd], signal);
    for (const [name, fds] of byConnectionName(connections, mostAtOnce))
      await this.#send({ connections: name, count: fds.length }, fds, signal);
    if (metrics !== undefined) {
      const { fd, address, file } = metrics;
      await this.#send({ socket: metricsName, address, file, count: 1 }, [fd], signal);
    }
    for (const part of partsOf(counts)) await this.#send({ counts: part, count: 0 }, [], signal);
    await this.#send({ count: 0 }, [], signal);
  }

  async #send(line: HandoverLine, descriptors: readonly number[], signal: AbortSignal): Promise<void> {
    const text = `${JSON.stringify(line)}\n`;
    while (!signal.aborted && !this.#socket.destroyed && !trySendMessage(this.#fd, text, descriptors))
      await pause(retryMilliseconds);
  }
}

/** Where new processes ask for a handover; one is let in. */
export class HandoverRequests extends EventEmitter<{ newProcess: [NewProcess] }> {
  readonly #managed: boolean;
  #taken = false;

  /** managed: a service manager starts and stops this process */
  constructor(managed: boolean) {
    super();
    this.#managed = managed;
  }

  /** @throws Fault takeover-refused or forbidden; then the socket is as it was */
  accept(request: IncomingMessage, socket: Duplex, asking: Asking): void {
    if (asking.uid !== 0 && asking.uid !== process.getuid?.())
      throw new Fault('forbidden', 'only root and the user that runs devlxd may take over from it');
    if (request.headers.upgrade !== takeoverUpgrade)
      throw new Fault('takeover-refused', 'this is for devlxd serve --takeover');
    if (this.#managed) throw new Fault('takeover-refused', 'a service manager runs it: systemctl restart devlxd');
    if (this.#taken) throw new Fault('takeover-refused', 'another process takes over already');
    this.#taken = true;
    socket.on('error', () => undefined); // it closes, which is what counts
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${takeoverUpgrade}\r\n\r\n`);
    this.emit('newProcess', new NewProcess(socket, asking));
  }
}

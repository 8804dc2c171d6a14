import { closeSync } from 'node:fs';
import { socketPaths } from '../config/paths.js';
import { Fault } from '../errors.js';
import { getSystemErrorName } from '../gate/system-error.js';
import { connectUnix, receiveMessage, sendMessage } from '../gate/unix-socket.js';
import { connectionsNamed } from './connection-names.js';
import type { CountedInstance, CountedSeries } from './counts.js';
import type { HandedMetricsSocket } from './metrics-socket.js';
import {
  type Handover,
  type HandoverConnection,
  type HandoverLine,
  metricsName,
  readyLine,
  type SocketName,
  socketNames,
  takeoverPath,
  takeoverUpgrade,
} from './protocol.js';
import type { FileId } from './run-directory.js';

/** The old process, seen from the new one. It goes on by itself should this process end before `ready`. */
export interface OldProcess {
  readonly handover: Handover;
  /** It may end. */
  ready(): void;
}

/**
 * Asks the daemon of a run directory to stop, and receives its sockets and connections; its store is closed then.
 * undefined: none runs.
 * @param seconds within which that daemon must show each time that it has not hung; 0: any time
 * @throws Fault takeover-refused
 */
export async function receiveHandover(runDir: string, seconds: number): Promise<OldProcess | undefined> {
  const path = socketPaths(runDir).control;
  const socket = connectUnix(path);
  if (typeof socket !== 'number') {
    const reason = getSystemErrorName(socket.errno);
    if (reason === 'ENOENT' || reason === 'ECONNREFUSED') return undefined;
    throw refused(`${path}: ${reason}`);
  }
  const conversation = new Conversation(socket, seconds);
  try {
    await conversation.ask();
    const handover = await conversation.receive();
    return { handover, ready: () => conversation.ready() };
  } catch (error) {
    conversation.end();
    throw error;
  }
}

/** The new process's side; src/handover/give.ts is the other. */
class Conversation {
  readonly #socket: number;
  readonly #seconds: number;
  #text = '';
  #descriptors: number[] = [];

  constructor(socket: number, seconds: number) {
    this.#socket = socket;
    this.#seconds = seconds === 0 ? Number.POSITIVE_INFINITY : seconds;
  }

  async ask(): Promise<void> {
    const headers = `Host: devlxd\r\nConnection: Upgrade\r\nUpgrade: ${takeoverUpgrade}\r\n`;
    sendMessage(this.#socket, `GET ${takeoverPath} HTTP/1.1\r\n${headers}\r\n`);
    const head = await this.#until('\r\n\r\n');
    if (/^HTTP\/1\.1 101 /.test(head)) return;
    throw refused(errorOf(await this.#until('}\n')));
  }

  async receive(): Promise<Handover> {
    const sockets = new Map<SocketName, number>();
    const bound = new Map<SocketName, FileId>();
    const connections: HandoverConnection[] = [];
    const series: CountedSeries[] = [];
    const instances: CountedInstance[] = [];
    let metrics: HandedMetricsSocket | undefined;
    for (;;) {
      const text = await this.#until('\n');
      if (text === '\n') continue; // the old process is alive and still stopping
      const line = JSON.parse(text) as HandoverLine;
      const descriptors = this.#descriptors.splice(0, line.count);
      if (line.connections !== undefined) connections.push(...connectionsNamed(line.connections, descriptors));
      else if (line.counts !== undefined) {
        series.push(...line.counts.series);
        instances.push(...line.counts.instances);
      } else if (line.socket === metricsName)
        metrics = { fd: descriptors[0] as number, address: line.address, file: line.file };
      else if (socketNames.some((name) => name === line.socket)) {
        const socket = line.socket as SocketName;
        sockets.set(socket, descriptors[0] as number);
        if (line.file !== undefined) bound.set(socket, line.file);
      } else return { sockets, bound, connections, metrics, counts: { series, instances } };
    }
  }

  ready(): void {
    try {
      sendMessage(this.#socket, readyLine);
    } catch {
      // The old process has died since; everything is here.
    }
    this.end();
  }

  end(): void {
    closeSync(this.#socket);
  }

  /** What comes up to and with a mark. */
  async #until(mark: string): Promise<string> {
    while (!this.#text.includes(mark)) {
      const message = await receiveMessage(this.#socket, this.#seconds);
      if (message === undefined)
        throw refused(`it has hung for ${this.#seconds} seconds (--handover-seconds); end it with SIGKILL, then start`);
      if (message.text === '') throw refused('the running devlxd has closed the connection');
      this.#text += message.text;
      this.#descriptors.push(...message.descriptors);
    }
    const end = this.#text.indexOf(mark) + mark.length;
    const found = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return found;
  }
}

/** The sentence in an answer that may have the lengths of its chunks around it. */
function errorOf(answer: string): string {
  return (JSON.parse(answer.slice(answer.indexOf('{'))) as { error: string }).error;
}

function refused(reason: string): Fault {
  return new Fault('takeover-refused', `The running devlxd does not hand over: ${reason}`);
}

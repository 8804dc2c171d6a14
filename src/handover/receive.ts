import { closeSync } from 'node:fs';
import { Fault } from '../errors.js';
import { getSystemErrorName } from '../gate/system-error.js';
import { connectUnix, receiveMessage, sendMessage } from '../gate/unix-socket.js';
import { takeoverPath } from './give.js';
import { socketPaths } from './listening-sockets.js';
import {
  connectionsNamed,
  type HandoverConnection,
  type Inheritance,
  type SocketName,
  socketNames,
} from './protocol.js';

/** The daemon that this one replaces. It goes on by itself should this process end before `ready`. */
export interface Predecessor {
  readonly inheritance: Inheritance;
  /** It may end. */
  ready(): void;
}

/**
 * Asks the daemon of a run directory to stop, and waits for its sockets; its store is closed then. undefined: none runs.
 * @throws Fault takeover-refused
 */
export async function takeOver(runDir: string): Promise<Predecessor | undefined> {
  const path = socketPaths(runDir).control;
  const socket = connectUnix(path);
  if (typeof socket !== 'number') {
    const reason = getSystemErrorName(socket.errno);
    if (reason === 'ENOENT' || reason === 'ECONNREFUSED') return undefined;
    throw refused(`${path}: ${reason}`);
  }
  const conversation = new Conversation(socket);
  try {
    await conversation.ask();
    const inheritance = await conversation.inherit();
    return { inheritance, ready: () => conversation.isReady() };
  } catch (error) {
    conversation.end();
    throw error;
  }
}

/** One line of the hand-over: what the next descriptors are. */
interface Line {
  readonly socket?: SocketName;
  /** false: its file is not the process's to remove */
  readonly bound?: boolean;
  readonly connections?: string;
  readonly count: number;
}

/** The new process's side of the hand-over; src/handover/give.ts is the other. */
class Conversation {
  readonly #socket: number;
  #text = '';
  #descriptors: number[] = [];

  constructor(socket: number) {
    this.#socket = socket;
  }

  async ask(): Promise<void> {
    const headers = 'Host: devlxd\r\nConnection: Upgrade\r\nUpgrade: devlxd-takeover\r\n';
    sendMessage(this.#socket, `GET ${takeoverPath} HTTP/1.1\r\n${headers}\r\n`);
    const head = await this.#until('\r\n\r\n');
    if (/^HTTP\/1\.1 101 /.test(head)) return;
    throw refused(errorOf(await this.#until('}\n')));
  }

  async inherit(): Promise<Inheritance> {
    const sockets = new Map<SocketName, number>();
    const bound = new Set<SocketName>();
    const connections: HandoverConnection[] = [];
    for (;;) {
      const line = JSON.parse(await this.#until('\n')) as Line;
      const descriptors = this.#descriptors.splice(0, line.count);
      if (line.connections !== undefined) connections.push(...connectionsNamed(line.connections, descriptors));
      else if (socketNames.some((name) => name === line.socket)) {
        const socket = line.socket as SocketName;
        sockets.set(socket, descriptors[0] as number);
        if (line.bound !== false) bound.add(socket);
      } else return { sockets, bound, connections };
    }
  }

  isReady(): void {
    try {
      sendMessage(this.#socket, 'ready\n');
    } catch {
      // It has died since: everything is here.
    }
    this.end();
  }

  end(): void {
    closeSync(this.#socket);
  }

  /** What comes up to and with a mark. */
  async #until(mark: string): Promise<string> {
    while (!this.#text.includes(mark)) {
      const { text, descriptors } = await receiveMessage(this.#socket);
      if (text === '') throw refused('the running devlxd has closed the connection');
      this.#text += text;
      this.#descriptors.push(...descriptors);
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

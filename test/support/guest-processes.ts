import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { packageRoot } from '../../src/package-root.js';

interface Client {
  socketpair(): [ours: number, theirs: number];
  request(fd: number, text: string): { reply: string; fd: number };
  close(fd: number): void;
}

const build = join(packageRoot, 'build/Release');
const tool = join(build, 'guests');
const client = createRequire(import.meta.url)(join(build, 'guests_client.node')) as Client;

/** For tests that need a second user in the guest: an ordinary user's guests have one. */
export const needsGuestUsers = {
  skip: process.getuid?.() === 0 ? false : 'needs root, whose guests have more than one uid',
};

/** The process in a guest that connects, and what becomes of it; native/tools/guests/connect.h. */
export interface Connecting {
  /** uid in the guest; its root when left out */
  readonly uid?: number;
  /** levels of further pid namespaces */
  readonly nested?: number;
  /** with user namespaces of their own */
  readonly nestedUser?: boolean;
  /** a process of its own, not the guest's init; all but the plainest have one */
  readonly child?: boolean;
  /** it has exited and was reaped, or is a zombie, when the connection is given here; else it stays */
  readonly dies?: 'exit' | 'zombie';
  readonly name?: string;
}

/** A real process that is root in user and pid namespaces of its own. */
export class Guest {
  /** of its init, as the host sees it */
  readonly pid: number;
  readonly #control: number;
  readonly #index: number;

  constructor(control: number, index: number, pid: number) {
    this.#control = control;
    this.#index = index;
    this.pid = pid;
  }

  /** Connects inside the guest; the connection is handed out here, and still speaks for the guest. */
  connect(path: string, connecting: Connecting = {}): Socket {
    return this.connectFrom(path, connecting).socket;
  }

  /** The same, with the pid of the process that connected, as the host sees it. */
  connectFrom(path: string, connecting: Connecting): { socket: Socket; pid: number } {
    const { uid, nested, nestedUser, child, dies, name } = connecting;
    const words = [
      path,
      ...(uid === undefined ? [] : [`uid=${uid}`]),
      ...(nested === undefined ? [] : [`nested=${nested}`]),
      ...(nestedUser ? ['nested-user'] : []),
      ...(child ? ['child'] : []),
      ...(dies === undefined ? [] : [`then=${dies}`]),
      ...(name === undefined ? [] : [`name=${name}`]),
    ];
    const { reply, fd } = ordered(this.#control, `connect ${this.#index} ${words.join(' ')}`);
    return { socket: new Socket({ fd, readable: true, writable: true }), pid: Number(reply.split(' ')[1]) };
  }

  /** Its init reaps the children that are dead. */
  reap(): void {
    ordered(this.#control, `reap ${this.#index}`);
  }

  /** SIGKILL for its init, and with it for everyone in the guest; init is reaped when this returns. */
  kill(): void {
    ordered(this.#control, `kill ${this.#index}`);
  }
}

/** Guests on demand. They all end with close(), or with this process. */
export class Guests {
  readonly #child: ChildProcess;
  readonly #control: number;
  #count = 0;

  /** uidBase: host uid of the guests' root; they all have the same unless it is given */
  constructor({ uidBase }: { uidBase?: number } = {}) {
    const [ours, theirs] = client.socketpair();
    const options = uidBase === undefined ? [] : ['--uid-base', String(uidBase)];
    this.#child = spawn(tool, ['serve', '--control', '3', ...options], {
      stdio: ['ignore', 'inherit', 'inherit', theirs],
    });
    client.close(theirs);
    this.#control = ours;
  }

  spawn(count = 1): Guest[] {
    const [, ...pids] = ordered(this.#control, `spawn ${count}`).reply.split(' ');
    return pids.map((pid) => new Guest(this.#control, this.#count++, Number(pid)));
  }

  one(): Guest {
    return this.spawn()[0] as Guest;
  }

  /** Resolves when every guest is gone. */
  async close(): Promise<void> {
    const exit = once(this.#child, 'exit');
    client.close(this.#control);
    await exit;
  }
}

function ordered(control: number, text: string): { reply: string; fd: number } {
  const answer = client.request(control, text);
  if (!answer.reply.startsWith('ok')) throw new Error(`${text}: ${answer.reply}`);
  return answer;
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly command: readonly string[];
  /** source directory to target directory, mounted read-only in the guest */
  readonly binds?: Readonly<Record<string, string>>;
  /** with the pid of the guest's init; the command starts when it is done */
  readonly before?: (pid: number) => Promise<void>;
  readonly uidBase?: number;
  readonly environment?: NodeJS.ProcessEnv;
}

/** Runs one program in a guest of its own. */
export async function runInGuest({ command, binds = {}, before, uidBase, environment = {} }: Running): Promise<Ran> {
  const options = Object.entries(binds).flatMap(([source, target]) => ['--bind', `${source}:${target}`]);
  if (uidBase !== undefined) options.push('--uid-base', String(uidBase));
  const child = spawn(tool, ['run', '--pid-fd', '3', '--wait-fd', '4', ...options, '--', ...command], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const [stdout, stderr] = [textOf(child.stdout as Readable), textOf(child.stderr as Readable)];
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const [line] = (await once(createInterface({ input: child.stdio[3] as Readable }), 'line')) as [string];
  await before?.(Number(line));
  (child.stdio[4] as Writable).end('.');
  const [code] = await exit;
  return { code, stdout: await stdout, stderr: await stderr };
}

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += chunk;
  return text;
}

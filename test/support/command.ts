import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { packageRoot } from '../../src/package-root.js';
import type { Job } from './command-thread.js';
import type { TestDaemon } from './daemon.js';

export const binary = join(packageRoot, 'bin/devlxd');

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How long a command may take. */
const patienceMilliseconds = 60_000;

/** Commands that ask a daemon, say what it answered and end: of them the process is not what is tested. */
const asking = [
  ...['list', 'show', 'set', 'unset', 'create', 'delete', 'device', 'profile', 'image', 'start', 'stop'],
  ...['apply', 'backup', 'restore', 'source', 'complete', 'check'],
];

/** The command line, for a daemon that the environment names. */
export class CommandLine {
  readonly #daemon: () => Pick<TestDaemon, 'runDir'>;
  readonly #more: NodeJS.ProcessEnv;
  #thread: Worker | undefined;
  readonly #followers: ChildProcess[] = [];

  /** more: added to the environment */
  constructor(daemon: () => Pick<TestDaemon, 'runDir'>, more: NodeJS.ProcessEnv = {}) {
    this.#daemon = daemon;
    this.#more = more;
  }

  /** A command that only asks runs in a thread, which takes a tenth of the processor time of a process. */
  run(words: readonly string[], input = ''): Ran {
    return asking.includes(words[0] ?? '') ? this.#runInThread(words, input) : this.runAsProcess(words, input);
  }

  runAsProcess(words: readonly string[], input = ''): Ran {
    const maxBuffer = 1 << 28;
    return spawnSync(process.execPath, [binary, ...words], {
      encoding: 'utf8',
      env: this.environment(),
      input,
      maxBuffer,
      timeout: patienceMilliseconds,
    });
  }

  #runInThread(words: readonly string[], input: string): Ran {
    this.#thread ??= new Worker(new URL('command-thread.js', import.meta.url));
    this.#thread.unref();
    const { port1, port2 } = new MessageChannel();
    const done = new Int32Array(new SharedArrayBuffer(4));
    const job: Job = { words, environment: this.environment(), input, answers: port2, done };
    this.#thread.postMessage(job, [port2]);
    Atomics.wait(done, 0, 0, patienceMilliseconds);
    const answer: Ran | undefined = receiveMessageOnPort(port1)?.message;
    port1.close();
    if (answer !== undefined) return answer;
    void this.#thread.terminate();
    this.#thread = undefined;
    return { status: null, stdout: '', stderr: 'It did not end in time.' };
  }

  /** What a command prints when it works. */
  does(...words: string[]): string {
    const { status, stdout, stderr } = this.run(words);
    assert.deepEqual([status, stderr], [0, ''], words.join(' '));
    return stdout;
  }

  /** What it writes to a terminal of this many columns, and its exit code; interruptAfter: Ctrl-C when that is true */
  async onTerminal(words: readonly string[], columns = 80, interruptAfter?: (text: string) => boolean) {
    const command = [process.execPath, binary, ...words].map((word) => `'${word}'`).join(' ');
    const child = spawn('script', ['-qec', `stty cols ${columns} rows 24; exec ${command}`, '/dev/null'], {
      env: { ...this.environment(), TERM: 'xterm' },
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more) => {
      text += more;
      if (interruptAfter?.(text) && child.stdin.writable) child.stdin.end('\x03');
    });
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, text };
  }

  /** Runs until it is ended, or all are. */
  follow(words: readonly string[]) {
    const child = spawn(process.execPath, [binary, ...words], {
      env: this.environment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more) => (text += more));
    this.#followers.push(child);
    const closed = once(child, 'close') as Promise<[number | null]>;
    const end = async (signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> => {
      child.kill(signal);
      return (await closed)[0];
    };
    return { text: () => text, closed, end };
  }

  /** Ends the commands that a failed test has left. */
  endAll(): void {
    for (const child of this.#followers) child.kill('SIGKILL');
  }

  environment(): NodeJS.ProcessEnv {
    return { ...process.env, PAGER: 'cat', DEVLXD_RUN_DIR: this.#daemon().runDir, ...this.#more };
  }
}

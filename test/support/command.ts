import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';
import type { TestDaemon } from './daemon.js';

export const binary = join(packageRoot, 'bin/devlxd');

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line, for a daemon that the environment names. */
export class CommandLine {
  readonly #daemon: () => TestDaemon;
  readonly #more: NodeJS.ProcessEnv;
  readonly #followers: ChildProcess[] = [];

  /** more: added to the environment */
  constructor(daemon: () => TestDaemon, more: NodeJS.ProcessEnv = {}) {
    this.#daemon = daemon;
    this.#more = more;
  }

  run(words: readonly string[], input = ''): Ran {
    const maxBuffer = 1 << 28;
    return spawnSync(process.execPath, [binary, ...words], {
      encoding: 'utf8',
      env: this.environment(),
      input,
      maxBuffer,
      timeout: 60_000,
    });
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

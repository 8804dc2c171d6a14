import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { socketPaths } from '../../src/config/paths.js';
import type { TestDaemon } from './daemon.js';

const version = spawnSync('lxc', ['--version'], { encoding: 'utf8', timeout: 60_000 });

/** For tests that run LXD's own client. */
export const needsLxc = { skip: version.status === 0 ? false : 'needs lxc: apt-get install lxd-client' };

export interface Printed {
  readonly code: number | null;
  readonly out: string;
}

/** LXD's own client with a configuration of its own, on a daemon's control socket. */
export class Lxc {
  readonly #home = mkdtempSync(join(tmpdir(), 'devlxd-lxc-'));
  readonly #environment: NodeJS.ProcessEnv;

  constructor(daemon: Pick<TestDaemon, 'runDir'>) {
    const { PATH = '' } = process.env;
    const editor = join(this.#home, 'editor');
    writeFileSync(editor, '#!/bin/sh\nexec sed -i "$SED" "$1"\n');
    chmodSync(editor, 0o755);
    // Without one it speaks of `lxd init`, where there is an LXD as well.
    writeFileSync(join(this.#home, 'config.yml'), '{}\n');
    this.#environment = {
      PATH,
      EDITOR: editor,
      HOME: this.#home,
      LXD_CONF: this.#home,
      LXD_SOCKET: socketPaths(daemon.runDir).control,
    };
  }

  /** Standard output and error, as they come; a client that hangs is ended, and then code is null. input: standard input */
  async run(words: readonly string[], input = ''): Promise<Printed> {
    const child = spawn('lxc', words, { env: this.#environment, timeout: 60_000, killSignal: 'SIGKILL' });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (out += text));
    child.stdin.on('error', () => undefined).end(input);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, out };
  }

  /** What `lxc WORDS` prints; it must succeed. */
  async prints(words: string, input?: string): Promise<string> {
    const { code, out } = await this.run(words.split(' '), input);
    assert.equal(code, 0, `lxc ${words}: ${out}`);
    return out;
  }

  /** What it prints when it must fail, and not hang. */
  async fails(words: string): Promise<string> {
    const { code, out } = await this.run(words.split(' '));
    assert.equal(code, 1, `lxc ${words} ended with ${code}: ${out}`);
    return out.trim();
  }

  /** With a terminal, where the client calls an editor: sed is what the editor does. */
  async edit(words: readonly string[], sed: string): Promise<Printed> {
    const command = `lxc ${words.map((word) => `'${word}'`).join(' ')}`;
    const env = { ...this.#environment, SED: sed, TERM: 'dumb' };
    const child = spawn('script', ['-qec', command, '/dev/null'], { env, timeout: 60_000, killSignal: 'SIGKILL' });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, out };
  }

  /** Runs until it is ended; ready: when its connection is there is for the caller to find out. */
  follow(words: readonly string[]): { text: () => string; end: () => Promise<void> } {
    const child = spawn('lxc', words, { env: this.#environment, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    const closed = once(child, 'close');
    const end = async (): Promise<void> => {
      child.kill('SIGKILL');
      await closed;
    };
    return { text: () => out, end };
  }

  remove(): void {
    rmSync(this.#home, { recursive: true, force: true });
  }
}

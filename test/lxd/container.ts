import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { eventually } from '../support/eventually.js';
import type { Rig } from './rig.js';

/** A real container, seen from the host. */
export class LxdContainer {
  readonly name: string;
  readonly #rig: Rig;
  readonly #out: string;
  #pid: number;

  constructor(rig: Rig, name: string, out: string, pid: number) {
    this.#pid = pid;
    this.#rig = rig;
    this.name = name;
    this.#out = out;
  }

  /** of its init, as the host sees it; LXD is asked when the one that was known has ended */
  get pid(): number {
    if (!existsSync(`/proc/${this.#pid}`)) this.#pid = this.#rig.initOf(this.name);
    return this.#pid;
  }

  /** The same container, renamed. */
  named(name: string): LxdContainer {
    return new LxdContainer(this.#rig, name, this.#out, this.#pid);
  }

  /** A program that is to be run inside, where it is found under the returned path. */
  bring(path: string): string {
    const copy = join(this.#out, basename(path));
    copyFileSync(path, copy);
    chmodSync(copy, 0o755);
    return `/out/${basename(path)}`;
  }

  /**
   * Runs a command as a child of the container's init, and without LXD, which may be dead.
   * @returns its standard output; what it has written so far, and all of it at the end
   */
  run(...command: readonly string[]): Running {
    const directory = mkdtempSync(join(this.#out, 'run-'));
    chmodSync(directory, 0o777);
    const inside = `/out/${basename(directory)}`;
    const script = `cd ${inside}; "$@" >out 2>error; echo $? >code.part; mv code.part code`;
    // The shell between ends, so that the rest is the container's init's.
    const orphan = ['sh', '-c', `setsid sh -c '${script}' sh "$@" </dev/null >/dev/null 2>&1 &`, 'sh'];
    const entering = ['--target', String(this.pid), '--mount', '--uts', '--ipc', '--net', '--pid', '--user'];
    const words = [...entering, '--setuid', '0', '--setgid', '0', ...orphan, ...command];
    const { status, stderr } = spawnSync('nsenter', words, { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } });
    if (status !== 0) throw new Error(`nsenter: ${stderr}`);
    return new Running(directory, inside);
  }

  /** What a command prints that ends by itself. */
  async does(...command: readonly string[]): Promise<string> {
    return this.run(...command).end();
  }
}

/** A command that runs in a container. */
export class Running {
  /** its working directory, as the container sees it */
  readonly inside: string;
  readonly #directory: string;

  constructor(directory: string, inside: string) {
    this.#directory = directory;
    this.inside = inside;
  }

  /** What is in one of its files by now. */
  read(name: string): string {
    const path = join(this.#directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  write(name: string): void {
    writeFileSync(join(this.#directory, name), '');
  }

  /** What it printed, when it has ended well. */
  async end(): Promise<string> {
    await eventually('it ends', () => this.read('code') !== '', 300);
    if (this.read('code') !== '0\n') throw new Error(`exit ${this.read('code').trim()}: ${this.read('error')}`);
    return this.read('out');
  }
}

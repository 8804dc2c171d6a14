import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { makeRootFileSystem, missingProgram } from '../clients/root-file-system.js';

/** All of its devices are its profile's; it stops when it is asked to, and waits for what loses its parent. */
const init = `#!/bin/sh
trap 'exit 0' PWR
while :; do /bin/busybox sleep 3600 & wait $!; done
`;

const preseed = `config: {images.auto_update_interval: "0"}
networks: []
storage_pools: [{name: default, driver: dir}]
profiles:
- name: default
  devices:
    root: {path: /, pool: default, type: disk}
    usr: {type: disk, source: /usr, path: /usr, readonly: "true"}
`;

/** What is missing for it, in a sentence. */
export function missingForRig(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, to run LXD';
  for (const [name, ...command] of [
    ['lxd', 'lxd', '--version'],
    ['lxd-client', 'lxc', '--version'],
    ['python3-websocket', '/usr/bin/python3', '-c', 'import websocket'],
  ] as [string, string, ...string[]][]) {
    const [program, ...words] = command;
    const { status } = spawnSync(program as string, words);
    if (status !== 0) return `needs ${name}: apt-get install ${name}`;
  }
  return missingProgram();
}

/** A real LXD with a directory of its own, beside any other on this host, and unprivileged containers in it. */
export class Rig {
  readonly directory = mkdtempSync(join(tmpdir(), 'devlxd-lxd-'));
  readonly #lxdDir = join(this.directory, 'lxd');
  readonly #environment = { PATH: process.env['PATH'] ?? '', HOME: this.directory, LXD_DIR: this.#lxdDir };
  #daemon: ChildProcess | undefined;
  readonly #containers = new Set<string>();

  /** its own */
  get socket(): string {
    return join(this.#lxdDir, 'unix.socket');
  }

  /** what it mounts into its containers */
  get guestDirectory(): string {
    return join(this.#lxdDir, 'devlxd');
  }

  get pid(): number {
    return this.#daemon?.pid ?? 0;
  }

  /** @throws Error with what LXD says */
  async start(): Promise<void> {
    chmodSync(this.directory, 0o711);
    mkdirSync(this.#lxdDir, { recursive: true, mode: 0o711 });
    await this.startDaemon();
    this.lxc(['profile', 'list']);
    this.#must('lxd', ['init', '--preseed'], preseed);
    this.#must('lxc', ['image', 'import', this.#image(), '--alias', 'tiny']);
  }

  /** Also after it has stopped or was killed. */
  async startDaemon(): Promise<void> {
    const log = openSync(join(this.directory, 'lxd.log'), 'a');
    this.#daemon = spawn('lxd', ['--group', 'root'], { env: this.#environment, stdio: ['ignore', log, log] });
    const ready = spawn('lxd', ['waitready', '--timeout=60'], { env: this.#environment, stdio: 'ignore' });
    const [code] = (await once(ready, 'close')) as [number | null];
    if (code !== 0) throw new Error(`LXD does not start: ${readFileSync(join(this.directory, 'lxd.log'), 'utf8')}`);
  }

  /** SIGPWR is what stops LXD and its containers, SIGTERM stops LXD alone. */
  async endDaemon(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const daemon = this.#daemon as ChildProcess;
    if (daemon.exitCode !== null || daemon.signalCode !== null) return;
    const exit = once(daemon, 'exit');
    daemon.kill(signal);
    await exit;
  }

  /** What a command of LXD's own client prints. @throws Error with what it says */
  lxc(words: readonly string[], input = ''): string {
    return this.#must('lxc', words, input);
  }

  /** The same, while this process goes on. @returns did it work? */
  async lxcAside(words: readonly string[]): Promise<boolean> {
    const child = spawn('lxc', words, { env: this.#environment, stdio: 'ignore' });
    const [code] = (await once(child, 'close')) as [number | null];
    return code === 0;
  }

  /** A running container of this name, and its directory /out on the host. */
  container(name: string, config: Readonly<Record<string, string>> = {}): LxdContainer {
    const out = join(this.directory, name);
    mkdirSync(out);
    chmodSync(out, 0o777); // the container's root is another uid
    this.#containers.add(name);
    const settings = Object.entries(config).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
    this.lxc(['init', 'tiny', name, '-q', ...settings]);
    this.lxc(['config', 'device', 'add', name, 'out', 'disk', `source=${out}`, 'path=/out', '-q']);
    this.lxc(['start', name]);
    return new LxdContainer(this, name, out, this.initOf(name));
  }

  /** of a container's init, as the host sees it; 0: it is stopped */
  initOf(name: string): number {
    return (JSON.parse(this.lxc(['query', `/1.0/instances/${name}/state`])) as { pid: number }).pid;
  }

  async remove(): Promise<void> {
    if (this.#daemon !== undefined) {
      if (this.#daemon.exitCode !== null || this.#daemon.signalCode !== null) await this.startDaemon();
      const all = spawnSync('lxc', ['list', '-f', 'csv', '-c', 'n'], { env: this.#environment, encoding: 'utf8' });
      const names = all.stdout.split('\n').filter((name) => name !== '');
      if (names.length > 0) spawnSync('lxc', ['delete', '--force', ...names], { env: this.#environment });
      await this.endDaemon('SIGTERM');
    }
    for (const name of ['devlxd', 'shmounts', 'guestapi']) spawnSync('umount', ['-l', join(this.#lxdDir, name)]);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #image(): string {
    const image = join(this.directory, 'image');
    const root = join(image, 'rootfs');
    mkdirSync(root, { recursive: true });
    makeRootFileSystem(root, {});
    mkdirSync(join(root, 'sbin'));
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'sbin/init'), init, { mode: 0o755 });
    const metadata =
      'architecture: x86_64\ncreation_date: 1700000000\nproperties: {description: tiny}\ntemplates: {}\n';
    writeFileSync(join(image, 'metadata.yaml'), metadata.replace('x86_64', machine()));
    const file = join(this.directory, 'image.tar.gz');
    this.#must('tar', ['--numeric-owner', '-C', image, '-czf', file, 'metadata.yaml', 'rootfs']);
    return file;
  }

  #must(command: string, words: readonly string[], input = ''): string {
    const options = { env: this.#environment, encoding: 'utf8', input, timeout: 60_000 } as const;
    const { status, stdout, stderr, error } = spawnSync(command, words, options);
    if (status !== 0) throw new Error(`${command} ${words.join(' ')}: ${error?.message ?? ''} ${stderr}`);
    return stdout;
  }
}

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
    while (this.read('code') === '') await new Promise((resolve) => setTimeout(resolve, 20));
    if (this.read('code') !== '0\n') throw new Error(`exit ${this.read('code').trim()}: ${this.read('error')}`);
    return this.read('out');
  }
}

function machine(): string {
  return spawnSync('uname', ['-m'], { encoding: 'utf8' }).stdout.trim();
}

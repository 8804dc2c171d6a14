import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { makeRootFileSystem, missingProgram } from '../clients/root-file-system.js';
import { LxdContainer } from './container.js';
import { type Flavour, lxd } from './flavour.js';

/** All of its devices are its profile's; it stops when it is asked to, and waits for what loses its parent. */
const init = `#!/bin/sh
trap 'exit 0' PWR
while :; do /bin/busybox sleep 3600 & wait $!; done
`;

/** How it is set up, for `init --preseed`. */
export const preseed = `config: {images.auto_update_interval: "0"}
networks: []
storage_pools: [{name: default, driver: dir}]
profiles:
- name: default
  devices:
    root: {path: /, pool: default, type: disk}
    usr: {type: disk, source: /usr, path: /usr, readonly: "true"}
`;

/** What is missing for it, in a sentence. */
export function missingForRig(flavour: Flavour = lxd): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, to run LXD';
  const missing = flavour.missing();
  if (missing !== undefined) return missing;
  for (const [name, ...command] of [['python3-websocket', '/usr/bin/python3', '-c', 'import websocket']] as [
    string,
    string,
    ...string[],
  ][]) {
    const [program, ...words] = command;
    const { status } = spawnSync(program as string, words);
    if (status !== 0) return `needs ${name}: apt-get install ${name}`;
  }
  return missingProgram();
}

/** A real LXD with a directory of its own, beside any other on this host, and unprivileged containers in it. */
export class Rig {
  readonly directory = mkdtempSync(join(tmpdir(), 'devlxd-lxd-'));
  readonly flavour: Flavour;
  readonly #lxdDir = join(this.directory, 'lxd');
  readonly #environment: NodeJS.ProcessEnv;
  #daemon: ChildProcess | undefined;
  #hasRun = false;
  /** holds the mount namespace */
  #namespace: ChildProcess | undefined;
  readonly #containers = new Set<string>();

  constructor(flavour: Flavour = lxd) {
    this.flavour = flavour;
    const directory = { [flavour.variable]: this.#lxdDir };
    this.#environment = { PATH: process.env['PATH'] ?? '', HOME: this.directory, ...directory };
  }

  /** its own */
  get socket(): string {
    return join(this.#lxdDir, 'unix.socket');
  }

  /** what it mounts into its containers */
  get guestDirectory(): string {
    const directory = join(this.#lxdDir, this.flavour.guestDirectory);
    return this.#namespace === undefined ? directory : `/proc/${this.#namespace.pid}/root${directory}`;
  }

  /** What begins a command that reaches this path in its mount namespace: the directory, without /proc/PID/root. */
  get guestDirectoryInside(): { enter: string[]; path: string } {
    return { enter: this.#insideWords(), path: join(this.#lxdDir, this.flavour.guestDirectory) };
  }

  /** What is in the guests' directory on the host, where it is mounted in there only, or below the mount. */
  belowTheMount(): string[] {
    const directory = join(this.#lxdDir, this.flavour.guestDirectory);
    return this.#namespace === undefined ? [] : readdirSync(directory);
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
    const { usr } = this.flavour;
    const given = usr === undefined ? preseed : preseed.replace('source: /usr', `source: ${join(this.directory, usr)}`);
    if (this.flavour.source === 'lxd') this.#must('lxd', ['init', '--preseed'], given);
    else this.lxc(['admin', 'init', '--preseed'], given);
    this.lxc(['image', 'import', makeImage(join(this.directory, 'image')), '--alias', 'tiny']);
  }

  /** Also after it has stopped or was killed. */
  async startDaemon(): Promise<void> {
    const log = openSync(join(this.directory, 'lxd.log'), 'a');
    const [program = '', ...words] = [...(await this.#entering()), ...this.flavour.daemon];
    this.#daemon = spawn(program, words, { env: this.#environment, stdio: ['ignore', log, log] });
    if (await this.#hasStarted()) {
      this.#hasRun = true;
      return;
    }
    throw new Error(`LXD does not start: ${readFileSync(join(this.directory, 'lxd.log'), 'utf8')}`);
  }

  /** What a command begins with that is to run in its mount namespace, which stays as long as the rig. */
  async #entering(): Promise<string[]> {
    if (this.flavour.inside === undefined) return [];
    if (this.#namespace === undefined) {
      const [script = '', ...words] = this.flavour.inside;
      const given = ['-m', 'sh', '-c', script, 'sh', this.directory, ...words];
      this.#namespace = spawn('unshare', given, { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(this.#namespace.stdout as Readable, 'data');
    }
    return this.#insideWords();
  }

  #insideWords(): string[] {
    return this.#namespace === undefined ? [] : ['nsenter', '-t', String(this.#namespace.pid), '-m'];
  }

  async #hasStarted(): Promise<boolean> {
    const { waits } = this.flavour;
    if (waits !== undefined) {
      const [program = '', ...words] = waits;
      const ready = spawn(program, words, { env: this.#environment, stdio: 'ignore' });
      const [code] = (await once(ready, 'close')) as [number | null];
      return code === 0;
    }
    for (let n = 0; n < 300 && this.#daemon?.exitCode === null; n++) {
      const { status } = spawnSync('curl', ['-sf', '--unix-socket', this.socket, 'http://x/1.0/instances']);
      if (status === 0) return true;
      await pause(200);
    }
    return false;
  }

  /** Its own order to end: containers are stopped first, and the guests' directory is unmounted. */
  async shutDown(): Promise<void> {
    const exit = once(this.#daemon as ChildProcess, 'exit');
    if (this.flavour.source === 'lxd') this.#must('lxd', ['shutdown', '--timeout', '30']);
    else this.lxc(['admin', 'shutdown', '--timeout', '30']);
    await exit;
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
    const [program, ...given] = this.#client(words);
    return this.#must(program, given, input);
  }

  /** The same, while this process goes on. @returns did it work? */
  async lxcAside(words: readonly string[]): Promise<boolean> {
    const [program, ...given] = this.#client(words);
    const child = spawn(program, given, { env: this.#environment, stdio: 'ignore' });
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

  /** Whatever of it has started. */
  async remove(): Promise<void> {
    try {
      if (this.#hasRun) await this.#removeContainers();
    } finally {
      this.#daemon?.kill('SIGKILL');
      this.#namespace?.kill('SIGKILL');
      for (const name of ['devlxd', 'shmounts', 'guestapi']) spawnSync('umount', ['-l', join(this.#lxdDir, name)]);
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  async #removeContainers(): Promise<void> {
    if (this.#daemon?.exitCode !== null || this.#daemon.signalCode !== null) await this.startDaemon();
    const names = this.lxc(['list', '--all-projects', '-f', 'csv', '-c', 'en'])
      .split('\n')
      .filter((name) => name !== '');
    for (const [project = '', name = ''] of names.map((line) => line.split(',')))
      this.lxc(['delete', '--force', '--project', project, name]);
    await this.endDaemon('SIGTERM');
  }

  /** One inside a mount namespace of its own is spoken to by what is in there. */
  #client(words: readonly string[]): [string, ...string[]] {
    return [...this.#insideWords(), this.flavour.client, ...words] as [string, ...string[]];
  }

  #must(command: string, words: readonly string[], input = ''): string {
    const options = { env: this.#environment, encoding: 'utf8', timeout: 60_000 } as const;
    // Incus reads what a pipe has, also nothing, as YAML.
    const { status, stdout, stderr, error } =
      input === ''
        ? spawnSync(command, words, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
        : spawnSync(command, words, { ...options, input });
    if (status !== 0) throw new Error(`${command} ${words.join(' ')}: ${error?.message ?? ''} ${stderr}`);
    return stdout;
  }
}

function machine(): string {
  return spawnSync('uname', ['-m'], { encoding: 'utf8' }).stdout.trim();
}

/** An image in a directory that is made for it; gives its file. programs: left out, BusyBox and curl */
export function makeImage(image: string, programs?: readonly string[]): string {
  const root = join(image, 'rootfs');
  mkdirSync(root, { recursive: true });
  makeRootFileSystem(root, {}, programs);
  mkdirSync(join(root, 'sbin'));
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'sbin/init'), init, { mode: 0o755 });
  const metadata = 'architecture: x86_64\ncreation_date: 1700000000\nproperties: {description: tiny}\ntemplates: {}\n';
  writeFileSync(join(image, 'metadata.yaml'), metadata.replace('x86_64', machine()));
  const file = `${image}.tar.gz`;
  execFileSync('tar', ['--numeric-owner', '-C', image, '-czf', file, 'metadata.yaml', 'rootfs']);
  return file;
}

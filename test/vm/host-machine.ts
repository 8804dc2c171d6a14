import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { HostClient } from '../../src/client/host-client.js';
import { socketPaths } from '../../src/config/paths.js';
import { metricValue, samplesOf } from '../../src/metrics/exposition.js';
import { packageRoot } from '../../src/package-root.js';
import { Booted } from './booted.js';
import type { Parts } from './packages.js';

/** native/tools/machine/host.cc */
const port = 5000;
const modules = [
  ...['virtio_pci', 'vmw_vsock_virtio_transport', '9pnet_virtio', '9p'],
  ...['vhost_vsock', 'vsock_loopback', 'overlay'],
];

/**
 * A virtual machine that is a host: it has the files of this host, read-only, and vsock for machines of its own. What
 * has to be quick runs here, since there a program takes twenty times as long.
 */
export class HostMachine {
  readonly #booted: Booted;

  private constructor(booted: Booted) {
    this.#booted = booted;
  }

  /**
   * @param socket where its connections to port 1234 of the host go
   * @param beforeBoot told the pid of the process that connects for it
   */
  static async boot(
    parts: Parts,
    cid: number,
    socket?: string,
    beforeBoot?: (pid: number) => Promise<void>,
  ): Promise<HostMachine> {
    const programs = { init: 'machine_host' };
    const root = ['-virtfs', 'local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap'];
    const entry = socket === undefined || beforeBoot === undefined ? {} : { socket, beforeBoot };
    return new HostMachine(
      await Booted.boot(parts, { cid, megabytes: 768, modules, programs, options: root, ...entry }),
    );
  }

  /** The VMM's socket, and the port inside that takes commands. */
  get entrance(): readonly string[] {
    return [join(this.#booted.directory, 'v'), String(port)];
  }

  /** The standard streams of a command. */
  spawn(command: string): Socket {
    return this.#booted.connect(port, `run ${command}\n`);
  }

  /** What a command writes. */
  async run(command: string): Promise<string> {
    return text(this.spawn(command));
  }

  /** A connection to a Unix socket in there. */
  connect(path: string): Socket {
    return this.#booted.connect(port, `connect ${path}\n`);
  }

  /** A connection that a process in there makes by vsock. */
  connectByVsock(cid: number, to: number): Socket {
    return this.#booted.connect(port, `vsock ${cid} ${to}\n`);
  }

  /** A connection that this host makes by vsock. */
  connectFromOutside(to: number): Socket {
    return this.#booted.connect(to);
  }

  /** An operator's hand on the daemon of a run directory in there. */
  client(runDir: string): HostClient {
    return new HostClient(runDir, { connect: () => this.connect(socketPaths(runDir).control) });
  }

  async end(): Promise<void> {
    await this.#booted.end();
  }
}

/** devlxd on that host. */
export class DaemonInside {
  static readonly #runDir = '/run/devlxd';
  readonly #host: HostMachine;
  readonly #options: string;
  readonly client: HostClient;
  #running: { readonly streams: Socket; readonly pid: number } | undefined;

  constructor(host: HostMachine, options: string) {
    this.#host = host;
    this.#options = options;
    this.client = host.client(DaemonInside.#runDir);
  }

  async run(more = ''): Promise<void> {
    const program = `${process.execPath} ${join(packageRoot, 'bin/devlxd')}`;
    const directories = `--run-dir ${DaemonInside.#runDir} --state-dir /run/state --log-format json`;
    const streams = this.#host.spawn(`exec ${program} serve ${directories} ${this.#options} ${more}`);
    const said: string[] = [];
    for await (const line of createInterface({ input: streams })) {
      said.push(line);
      const { msg, pid } = line.startsWith('{') ? JSON.parse(line) : {};
      if (msg === 'devlxd starts') this.#running = { streams, pid };
      if (msg === 'ready') return void streams.resume();
    }
    throw new Error(`The daemon in the machine has ended:\n${said.join('\n')}`);
  }

  get guestSocket(): string {
    return socketPaths(DaemonInside.#runDir).guest;
  }

  /** Requests that are held for their machine to be registered. */
  async held(): Promise<number> {
    return metricValue(samplesOf(await this.client.metrics()), 'devlxd_guest_requests_held', {}) ?? 0;
  }

  async status(name: string): Promise<string> {
    return (await this.client.instances.get(name)).status;
  }

  async takeOver(): Promise<void> {
    const before = this.#running;
    await this.run('--takeover');
    if (before !== undefined && !before.streams.closed) await once(before.streams, 'close');
  }

  async signal(name: 'STOP' | 'CONT'): Promise<void> {
    await this.#host.run(`kill -${name} ${this.#running?.pid}`);
  }
}

/** native/tools/vmm: for the kernel in there a VMM with a machine, whose root and whose users connect to devlxd. */
export class MadeUpVm {
  readonly pid: number;
  readonly #host: HostMachine;
  readonly #directory: string;
  #sent = 0;

  private constructor(host: HostMachine, directory: string, pid: number, streams: Socket) {
    this.pid = pid;
    this.#host = host;
    this.#directory = directory;
    createInterface({ input: streams }).on('line', () => this.#sent++);
  }

  /** @throws Error, with what the kernel says */
  static async boot(host: HostMachine, cid: number): Promise<MadeUpVm> {
    const directory = (await host.run('mktemp -d')).trim();
    const vmm = join(packageRoot, 'build/Release/vmm');
    const streams = host.spawn(`echo $$; exec ${vmm} ${cid} ${directory}/root ${directory}/user`);
    const said: string[] = [];
    for await (const line of createInterface({ input: streams })) {
      said.push(line);
      if (line === 'up') break;
    }
    const [pid, word = ''] = said;
    if (word !== 'up') throw new Error(word);
    return new MadeUpVm(host, directory, Number(pid), streams);
  }

  /** A connection from inside. */
  as(user: 'root' | 'user'): Socket {
    return this.#host.connect(`${this.#directory}/${user}`);
  }

  /** How often its clients have sent something that the kernel of the host has now. */
  get sent(): number {
    return this.#sent;
  }

  /** SIGKILL; it has been reaped when this is done. */
  async end(): Promise<void> {
    await this.#host.run(`kill -9 ${this.pid}; while kill -0 ${this.pid} 2>/dev/null; do sleep 0.1; done`);
  }
}

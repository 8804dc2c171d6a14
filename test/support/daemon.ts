import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { HostClient, instancePath } from '../../src/cli/with-client.js';
import { socketPaths } from '../../src/config/paths.js';
import { listenUnix } from '../../src/gate/unix-socket.js';
import { metricValue, samplesOf } from '../../src/metrics/exposition.js';
import { packageRoot } from '../../src/package-root.js';

interface LogLine {
  readonly msg: string;
  readonly [field: string]: unknown;
}

type Device = Readonly<Record<string, string>>;

/** A devlxd of its own in a directory of its own, and an operator's hand on it. */
export class TestDaemon {
  readonly directory: string;
  readonly log: LogLine[] = [];
  readonly client: HostClient;
  readonly #arguments: readonly string[];
  readonly #environment: NodeJS.ProcessEnv;
  readonly #program: string;
  #child: ChildProcess | undefined;
  /** words before the command, which become it */
  #prefix: readonly string[] = [];
  /** by name: stay here, and are passed to each process that does not take over from another */
  #sockets: Readonly<Record<string, number>> = {};

  private constructor(
    options: readonly string[],
    environment: NodeJS.ProcessEnv,
    program = join(packageRoot, 'bin/devlxd'),
  ) {
    this.directory = mkdtempSync(join(tmpdir(), 'devlxd-test-'));
    chmodSync(this.directory, 0o755); // guests have other uids
    this.#arguments = options;
    this.#environment = environment;
    this.#program = program;
    this.client = new HostClient(this.runDir);
  }

  /** One that is not started here. program: another devlxd than that of this project */
  static prepared(options: readonly string[] = [], program?: string): TestDaemon {
    return new TestDaemon(options, {}, program);
  }

  static async start(options: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Promise<TestDaemon> {
    return new TestDaemon(options, environment).#started();
  }

  /** One of a module of test/support that changes the daemon before it runs it: of what tsc makes, not of the bundle. */
  static async startChanged(module: string, options: readonly string[] = []): Promise<TestDaemon> {
    return new TestDaemon(options, {}, join(packageRoot, 'dist/test/support', module)).#started();
  }

  /** One that words start, such as `ip netns exec NAME`; they become the daemon. */
  static async startBy(prefix: readonly string[], options: readonly string[] = []): Promise<TestDaemon> {
    const daemon = new TestDaemon(options, {});
    daemon.#prefix = prefix;
    return daemon.#started();
  }

  /** One whose listening sockets stay when it ends, however it ends: callers wait for the next one. */
  static async startWithSockets(options: readonly string[] = []): Promise<TestDaemon> {
    const daemon = new TestDaemon(options, {});
    const { guestDir, guest, control } = socketPaths(daemon.runDir);
    mkdirSync(guestDir, { recursive: true });
    daemon.#sockets = { guest: listenUnix(guest, 0o666, 4096), control: listenUnix(control, 0o600, 4096) };
    return daemon.#started();
  }

  /** Nothing of one that does not start is left. */
  async #started(): Promise<this> {
    try {
      await this.run();
      return this;
    } catch (error) {
      await this.remove();
      throw error;
    }
  }

  get runDir(): string {
    return join(this.directory, 'run');
  }

  get stateDir(): string {
    return join(this.directory, 'state');
  }

  get socket(): string {
    return socketPaths(this.runDir).guest;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** The command that runs it. */
  command(more: readonly string[] = []): [string, ...string[]] {
    const directories = ['--run-dir', this.runDir, '--state-dir', this.stateDir];
    const options = [...directories, '--log-format', 'json', ...this.#arguments, ...more];
    return [process.execPath, this.#program, 'serve', ...options];
  }

  /**
   * Starts the process, again if it has ended, and waits until it is ready.
   * kept: descriptors that it is passed as well, if it was started with sockets
   */
  async run(more: readonly string[] = [], kept: Readonly<Record<string, number>> = {}): Promise<void> {
    const passed = more.includes('--takeover') ? {} : { ...this.#sockets, ...kept };
    const words = [...this.#prefix, ...passing(Object.keys(passed)), ...this.command(more)];
    const [program, ...options] = words as [string];
    const child = spawn(program, options, {
      stdio: ['ignore', 'inherit', 'pipe', ...Object.values(passed)],
      env: { ...process.env, ...this.#environment },
    });
    this.#child = child;
    const lines = createInterface({ input: child.stderr as Readable });
    await new Promise<void>((resolve, reject) => {
      const other: string[] = [];
      lines.on('line', (line) => {
        const entry = parse(line);
        if (entry === undefined) other.push(line);
        else this.log.push(entry);
        if (entry?.msg === 'ready') resolve();
      });
      child.on('exit', (code) => reject(new Error(`devlxd ended with ${code}: ${other.join('\n')}`)));
    });
  }

  /** The value of a metric, or of one of an instance; 0: there is none. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return metricValue(samplesOf(await this.client.metrics({ perInstance: true })), name, labels) ?? 0;
  }

  async create(name: string, config: Device = {}, devices: Readonly<Record<string, Device>> = {}): Promise<void> {
    await this.client.request('POST', '/1.0/instances', { name, config, devices });
  }

  async startInstance(name: string, pid: number): Promise<void> {
    await this.client.request('PUT', `${instancePath(name)}/state`, { action: 'start', pid });
  }

  /** create and start in one. */
  async register(name: string, pid: number, config: Device = {}): Promise<void> {
    await this.create(name, config);
    await this.startInstance(name, pid);
  }

  async stopInstance(name: string): Promise<void> {
    await this.client.request('PUT', `${instancePath(name)}/state`, { action: 'stop' });
  }

  async set(name: string, config: Device): Promise<void> {
    await this.client.request('PATCH', instancePath(name), { config });
  }

  async status(name: string): Promise<string> {
    return (await this.client.instances.get(name)).status;
  }

  /** Another process goes on in its place; gives the exit code of this one. */
  async takeOver(): Promise<number | null> {
    const before = this.#child as ChildProcess;
    const exit = once(before, 'exit') as Promise<[number | null]>;
    await this.run(['--takeover']);
    return (await exit)[0];
  }

  /** Ends the process, and with SIGTERM waits until it has done so in order. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exit = once(child, 'exit') as Promise<[number | null]>;
    child.kill(signal);
    return (await exit)[0];
  }

  /** SIGSTOP, and SIGCONT later */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async remove(): Promise<void> {
    await this.end();
    await this.client.close();
    for (const fd of Object.values(this.#sockets)) closeSync(fd);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Becomes the command that follows, with descriptors from 3 on as systemd passes them. */
function passing(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const variables = `LISTEN_PID=$$ LISTEN_FDS=${names.length} LISTEN_FDNAMES=${names.join(':')}`;
  return ['sh', '-c', `${variables} exec "$@"`, 'sh'];
}

function parse(line: string): LogLine | undefined {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined;
  }
}

/** Runs work with a daemon of its own, which is removed afterwards. */
export async function withDaemon(
  work: (daemon: TestDaemon) => Promise<void>,
  options: readonly string[] = [],
  start: (options: readonly string[]) => Promise<TestDaemon> = TestDaemon.start,
): Promise<void> {
  const daemon = await start(options);
  try {
    await work(daemon);
  } finally {
    await daemon.remove();
  }
}

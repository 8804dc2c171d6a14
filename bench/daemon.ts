import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { HostClient, instancePath } from '../src/cli/client.js';
import { socketPaths } from '../src/main.js';
import { packageRoot } from '../src/package-root.js';
import { Child } from './child.js';
import { Crowd } from './crowd.js';
import type { Bench, Server, Side } from './trial.js';

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly err?: { readonly message: string };
}

/** Their writes share commits. */
const operatorsAtOnce = 64;

const errorLevel = 50; // pino's
let daemons = 0;

interface Daemons {
  readonly name?: string;
  /** of `devlxd serve` */
  readonly options?: readonly string[];
  /** of each guest's instance */
  readonly config?: Readonly<Record<string, string>>;
  /** running instances that do nothing */
  readonly neighbours?: number;
  /** before the first guest comes */
  readonly prepare?: (client: HostClient, bench: Bench) => Promise<unknown>;
}

/** devlxd itself. */
export function devlxd({ name = 'devlxd', ...daemons }: Daemons = {}): Side {
  return { name, start: (bench) => Daemon.start(bench, daemons) };
}

class Daemon implements Server {
  readonly #child: Child;
  readonly #client: HostClient;
  readonly #runDir: string;
  readonly #stateDir: string;
  readonly #faults: string[] = [];
  readonly #lines: AsyncIterator<string>;
  readonly #config: Readonly<Record<string, string>>;
  #guests = 0;
  #events = 0;
  #crowd: Crowd | undefined;

  private constructor({ workplace, pins }: Bench, { options = [], config = {} }: Daemons) {
    this.#config = config;
    const number = ++daemons;
    this.#runDir = workplace.path(`run-${number}`);
    this.#stateDir = workplace.path(`state-${number}`);
    const directories = ['--run-dir', this.#runDir, '--state-dir', this.#stateDir];
    const command = [process.execPath, join(packageRoot, 'bin/devlxd'), 'serve', ...directories];
    this.#child = new Child('devlxd', [
      ...pins.server,
      ...command,
      '--log-format',
      'json',
      '--log-level',
      'info',
      ...options,
    ]);
    this.#lines = this.#child.lines(2);
    this.#client = new HostClient(this.#runDir);
  }

  static async start(bench: Bench, daemons: Daemons): Promise<Daemon> {
    const daemon = new Daemon(bench, daemons);
    while ((await daemon.#nextMessage()) !== 'ready');
    void daemon.#readLog();
    await daemons.prepare?.(daemon.#client, bench);
    await daemon.#settle(bench, daemons.neighbours ?? 0);
    return daemon;
  }

  get socket(): string {
    return socketPaths(this.#runDir).guest;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** An instance of its own for each guest: the one before may not have been noticed to be gone. */
  async admit(pids: readonly number[]): Promise<void> {
    const waiting = pids.values(); // one queue for all operators
    const operators = Array.from({ length: Math.min(pids.length, operatorsAtOnce) }, async () => {
      const client = new HostClient(this.#runDir);
      for (const pid of waiting) await this.#register(client, pid);
      await client.close();
    });
    await Promise.all(operators);
  }

  async #settle(bench: Bench, neighbours: number): Promise<void> {
    const count = Math.ceil(neighbours * bench.plan.scale);
    if (count === 0) return;
    this.#crowd = await Crowd.spawn(bench, count);
    await this.admit(this.#crowd.pids);
  }

  async #register(client: HostClient, pid: number): Promise<void> {
    const name = `bench-${++this.#guests}`;
    await client.request('POST', '/1.0/instances', { name, config: this.#config });
    await client.request('PUT', `${instancePath(name)}/state`, { action: 'start', pid });
  }

  async announce(): Promise<void> {
    const config = { 'user.event': String(++this.#events % 10) };
    await this.#client.request('PATCH', instancePath(`bench-${this.#guests}`), { config });
  }

  async stop(): Promise<string[]> {
    await this.#crowd?.end();
    await this.#client.close();
    const code = await this.#child.end('SIGTERM');
    if (code !== 0) this.#faults.push(`devlxd ended with ${code}: ${this.#child.complaints}`);
    for (const directory of [this.#runDir, this.#stateDir]) rmSync(directory, { recursive: true, force: true });
    return this.#faults;
  }

  async #readLog(): Promise<void> {
    for (let next = await this.#lines.next(); !next.done; next = await this.#lines.next()) this.#read(next.value);
  }

  async #nextMessage(): Promise<string> {
    return this.#read(await this.#child.next(this.#lines));
  }

  #read(line: string): string {
    if (!line.startsWith('{')) return ''; // not the log: what ends a process without it, which stop() shows
    const { level, msg, err } = JSON.parse(line) as LogLine;
    if (level >= errorLevel) this.#faults.push(err === undefined ? msg : `${msg}: ${err.message}`);
    return msg;
  }
}

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { HostClient, instancePath } from '../src/cli/with-client.js';
import { socketPaths } from '../src/config/paths.js';
import { packageRoot } from '../src/package-root.js';
import { Child } from './child.js';
import { Crowd } from './crowd.js';
import type { Bench, Restartable, Side } from './trial.js';

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly err?: { readonly message: string };
}

/** Their writes share commits. */
const operatorsAtOnce = 64;

/** In one transaction. */
const storedAtOnce = 5_000;

const errorLevel = 50; // pino's
let started = 0;

interface Daemons {
  readonly name?: string;
  /** another devlxd than that of this project */
  readonly program?: string;
  /** of `devlxd serve`, which is told not to limit the rate of requests */
  readonly options?: readonly string[];
  /** of each guest's instance */
  readonly config?: Readonly<Record<string, string>>;
  /** instances that do not run */
  readonly stored?: number;
  /** running instances that do nothing */
  readonly neighbours?: number;
  /** an event is for all guests, by way of a profile, and not for the last one only */
  readonly announcesToAll?: boolean;
  /** before the first guest comes */
  readonly prepare?: (client: HostClient, bench: Bench) => Promise<unknown>;
}

/** devlxd itself. */
export function devlxd({ name = 'devlxd', ...daemons }: Daemons = {}): Side<Restartable> {
  return { name, start: (bench) => Daemon.start(bench, daemons) };
}

class Daemon implements Restartable {
  #child: Child;
  readonly #client: HostClient;
  readonly #runDir: string;
  readonly #stateDir: string;
  readonly #faults: string[] = [];
  #lines: AsyncIterator<string>;
  readonly #command: readonly string[];
  readonly #config: Readonly<Record<string, string>>;
  readonly #announcesToAll: boolean;
  #guests = 0;
  #events = 0;
  #crowd: Crowd | undefined;

  private constructor({ workplace, pins }: Bench, daemons: Daemons) {
    const { program = join(packageRoot, 'bin/devlxd'), options = [], config = {}, announcesToAll = false } = daemons;
    this.#config = config;
    this.#announcesToAll = announcesToAll;
    const number = ++started;
    this.#runDir = workplace.path(`run-${number}`);
    this.#stateDir = workplace.path(`state-${number}`);
    const directories = ['--run-dir', this.#runDir, '--state-dir', this.#stateDir];
    const serve = [program, 'serve', ...directories];
    const unlimited = ['--limit-requests-per-second', '0'];
    this.#command = [...pins.server, ...serve, '--log-format', 'json', '--log-level', 'info', ...unlimited, ...options];
    this.#child = new Child('devlxd', this.#command);
    this.#lines = this.#child.lines(2);
    this.#client = new HostClient(this.#runDir);
  }

  static async start(bench: Bench, daemons: Daemons): Promise<Daemon> {
    const daemon = new Daemon(bench, daemons);
    await daemon.#becomeReady();
    await daemons.prepare?.(daemon.#client, bench);
    await daemon.store(Math.ceil((daemons.stored ?? 0) * bench.plan.scale));
    await daemon.#settle(bench, daemons.neighbours ?? 0);
    return daemon;
  }

  get socket(): string {
    return socketPaths(this.#runDir).guest;
  }

  get runDir(): string {
    return this.#runDir;
  }

  get control(): string {
    return socketPaths(this.#runDir).control;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** An instance of its own for each guest: the one before may not have been noticed to be gone. */
  async admit(pids: readonly number[]): Promise<void> {
    await this.#operate(pids, async (client, pid) => {
      const name = await this.#create(client);
      await client.request('PUT', `${instancePath(name)}/state`, { action: 'start', pid });
    });
  }

  async restart(): Promise<number> {
    await this.#end();
    const began = performance.now();
    this.#child = new Child('devlxd', this.#command);
    this.#lines = this.#child.lines(2);
    await this.#becomeReady();
    return began;
  }

  async #becomeReady(): Promise<void> {
    while ((await this.#nextMessage()) !== 'ready');
    void this.#readLog();
  }

  async store(count: number): Promise<void> {
    for (let left = count; left > 0; left -= storedAtOnce) {
      const names = Array.from({ length: Math.min(left, storedAtOnce) }, () => `bench-${++this.#guests}`);
      const bodies = names.map((name) => ({ name, config: this.#config }));
      await this.#client.batch(bodies.map((body) => ({ method: 'POST', path: '/1.0/instances', body })));
    }
  }

  /** Does something for each, many at a time. */
  async #operate(pids: readonly number[], work: (client: HostClient, pid: number) => Promise<unknown>): Promise<void> {
    const waiting = pids.values(); // one queue for all operators
    const operators = Array.from({ length: Math.min(pids.length, operatorsAtOnce) }, async () => {
      const client = new HostClient(this.#runDir);
      for (const pid of waiting) await work(client, pid);
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

  async #create(client: HostClient): Promise<string> {
    const name = `bench-${++this.#guests}`;
    await client.request('POST', '/1.0/instances', { name, config: this.#config });
    return name;
  }

  async announce(): Promise<void> {
    const config = { 'user.event': String(++this.#events % 10) };
    const changed = this.#announcesToAll ? '/1.0/profiles/default' : instancePath(`bench-${this.#guests}`);
    await this.#client.request('PATCH', changed, { config });
  }

  async stop(): Promise<string[]> {
    await this.#crowd?.end();
    await this.#client.close();
    await this.#end();
    for (const directory of [this.#runDir, this.#stateDir]) rmSync(directory, { recursive: true, force: true });
    return this.#faults;
  }

  async #end(): Promise<void> {
    const code = await this.#child.end('SIGTERM');
    if (code !== 0) this.#faults.push(`devlxd ended with ${code}: ${this.#child.complaints}`);
  }

  async #readLog(): Promise<void> {
    const lines = this.#lines; // of this process, not of one that follows it
    for (let next = await lines.next(); !next.done; next = await lines.next()) this.#read(next.value);
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

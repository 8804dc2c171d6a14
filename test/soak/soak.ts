import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { Guests } from '../support/guest-processes.js';
import { boot, HonestGuest, Tally } from './honest.js';
import { Operators } from './operators.js';

export interface SoakOptions {
  readonly seed: number;
  readonly guests: number;
  /** of each part; longer, if the daemon has not ended in each way by then */
  readonly seconds: number;
  /** between two ends of the daemon */
  readonly every: number;
  readonly progress?: (part: string, answered: number) => void;
}

export interface Part {
  readonly name: string;
  readonly hostile: boolean;
}

export const parts: readonly Part[] = [
  { name: 'honest guests alone', hostile: false },
  { name: 'beside hostile guests', hostile: true },
];

/** How the daemon ends, and the next one begins: kill -9, in order, or while both are there. */
const ways = ['kill', 'restart', 'takeover'] as const;
type Way = (typeof ways)[number];

export interface Resources {
  readonly descriptors: number;
  /** kB */
  readonly memory: number;
}

export interface PartResult {
  readonly name: string;
  readonly answered: number;
  readonly interrupted: number;
  readonly ends: Readonly<Record<Way, number>>;
  readonly writes: {
    readonly changes: number;
    readonly renames: number;
    readonly restarts: number;
    readonly repeated: number;
  };
  /** how often each of the hostile has done what it does */
  readonly hostile: Readonly<Record<string, number>>;
  /** ms: of all answers, and the median of the guest that was served worst */
  readonly latency: { readonly median: number; readonly p99: number; readonly worstMedian: number };
  readonly before: Resources;
  readonly after: Resources;
}

/** How many boot at the same time, and operators. */
const [booting, operating] = [16, 4];
/** Enough that a guest that is started anew is known before it is refused, also after a kill. */
const options = ['--limit-hold-seconds', '30', '--limit-connections-per-instance', '128'];

/** Each way as often as the others, in an order that nobody knows. */
function* endings(random: Random): Generator<Way, never> {
  for (;;) {
    const left = [...ways];
    while (left.length > 0) yield left.splice(random.below(left.length), 1)[0] as Way;
  }
}

async function replace(daemon: TestDaemon, way: Way): Promise<void> {
  if (way === 'takeover') {
    await daemon.takeOver();
    return;
  }
  await daemon.end(way === 'kill' ? 'SIGKILL' : 'SIGTERM');
  await daemon.run();
}

/** One part. @throws Error with what was lost, wrong or refused */
export async function soak(part: Part, given: SoakOptions): Promise<PartResult> {
  const guests = new Guests();
  const daemon = await TestDaemon.startWithSockets(options);
  const hostile = part.hostile ? await Hostile.start(daemon) : undefined;
  try {
    return await run(part, given, guests, daemon, hostile);
  } finally {
    await hostile?.end();
    await guests.close();
    await daemon.remove();
  }
}

async function run(
  part: Part,
  { seed, guests: count, seconds, every, progress }: SoakOptions,
  guests: Guests,
  daemon: TestDaemon,
  hostile: Hostile | undefined,
): Promise<PartResult> {
  const random = new Random(seed);
  const all = guests.spawn(count).map((guest, n) => new HonestGuest(n, guest));
  const registering = [...all];
  await together(booting, async () => {
    for (let honest = registering.pop(); honest !== undefined; honest = registering.pop()) {
      await daemon.register(honest.name, honest.guest.pid, honest.config(0));
    }
  });
  const tally = new Tally();
  const before = resourcesOf(daemon.pid);
  const ends = { kill: 0, restart: 0, takeover: 0 };
  const operators = new Operators(daemon.runDir, guests, all, random);
  const end = performance.now() + seconds * 1000;
  const isOver = (): boolean =>
    (performance.now() > end && ways.every((way) => ends[way] > 0)) || tally.failures.length > 0;
  hostile?.begin();
  const ending = (async () => {
    for (const way of endings(new Random(seed))) {
      await pause(every * 1000);
      if (isOver()) return;
      tally.isKilling = way === 'kill';
      if (tally.isKilling) tally.kills++;
      await replace(daemon, way);
      ends[way]++;
      tally.isKilling = false;
      progress?.(part.name, tally.answered);
    }
  })();
  const honest = together(booting, async () => {
    while (!isOver()) await boot(random.pick(all), daemon.socket, tally);
  });
  // Whoever fails makes it over for all, in order.
  const failed = (error: unknown): void => void tally.failures.push(String(error));
  const changing = together(operating, () => operators.run(isOver));
  const everyone = [ending, honest, changing, hostile?.provoke(daemon, isOver)];
  await Promise.all(everyone.map((work) => work?.catch(failed)));
  const attacks = (await hostile?.end()) ?? {};
  await operators.close();
  if (tally.failures.length > 0) throw new Error(`${part.name}: ${tally.failures.slice(0, 5).join('\n')}`);
  await checkRegistry(daemon, all, Object.keys(attacks));
  const after = await settled(daemon.pid, before);
  const { changes, renames, restarts, repeated } = operators;
  return {
    name: part.name,
    answered: tally.answered,
    interrupted: tally.interrupted,
    ends,
    writes: { changes, renames, restarts, repeated },
    hostile: attacks,
    latency: latencyOf(all),
    before,
    after,
  };
}

/** Everything that was answered is there, and nothing else. */
async function checkRegistry(
  daemon: TestDaemon,
  all: readonly HonestGuest[],
  hostile: readonly string[],
): Promise<void> {
  const stored = new Map((await daemon.client.instances.listWithState()).map((instance) => [instance.name, instance]));
  const wrong: string[] = [];
  for (const { name, version, guest, n } of all) {
    const found = stored.get(name);
    const mark = found?.config['user.mark'];
    const pid = found?.state.pid;
    if (mark !== `${version.written} of guest ${n}` || pid !== guest.pid) {
      wrong.push(`${name}: ${mark} on ${pid}, not ${version.written} of guest ${n} on ${guest.pid}`);
    }
  }
  if (stored.size !== all.length + hostile.length) wrong.push(`${stored.size} instances are stored, not ${all.length}`);
  if (wrong.length > 0) throw new Error(`what was answered is not what is stored: ${wrong.slice(0, 5).join('\n')}`);
}

/** Those that do harm; hostile.ts. */
class Hostile {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #counts: Record<string, number> | undefined;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  /** Each a registered instance with a name that says what it does. */
  static async start(daemon: TestDaemon): Promise<Hostile> {
    const program = new URL('hostile.js', import.meta.url).pathname;
    const child = spawn(process.execPath, [program, daemon.socket], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
    const pids = JSON.parse((await lines.next()).value) as Record<string, number>;
    const config = { 'user.big': 'x'.repeat(100_000) };
    for (const [name, pid] of Object.entries(pids)) await daemon.register(name, pid, config);
    return new Hostile(child, lines);
  }

  begin(): void {
    (this.#child.stdin as Writable).write('\n');
  }

  /** Its listeners, who do not read, get events. */
  async provoke(daemon: TestDaemon, isOver: () => boolean): Promise<void> {
    for (let n = 0; !isOver(); n++) {
      const config = { 'user.big': String(n % 10).repeat(100_000) };
      await daemon.set('deaf-listeners', config).catch(() => undefined);
      await pause(100);
    }
  }

  /** @returns how often each has done it */
  async end(): Promise<Record<string, number>> {
    if (this.#counts !== undefined) return this.#counts;
    const exit = once(this.#child, 'exit');
    (this.#child.stdin as Writable).end();
    this.#counts = JSON.parse((await this.#lines.next()).value ?? '{}') as Record<string, number>;
    await exit;
    return this.#counts;
  }
}

function resourcesOf(pid: number): Resources {
  const [, memory] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, memory: Number(memory) };
}

/** When nobody is connected any more. @throws when descriptors are not back */
async function settled(pid: number, before: Resources): Promise<Resources> {
  await eventually('the descriptors are back', () => resourcesOf(pid).descriptors <= before.descriptors + 1);
  return resourcesOf(pid);
}

function latencyOf(all: readonly HonestGuest[]): PartResult['latency'] {
  const sorted = all.flatMap(({ latencies }) => latencies).sort((a, b) => a - b);
  const medians = all
    .filter(({ latencies }) => latencies.length > 0)
    .map(({ latencies }) =>
      quantile(
        [...latencies].sort((a, b) => a - b),
        0.5,
      ),
    );
  return { median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), worstMedian: Math.max(...medians) };
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function together(count: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, work));
}

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { Guests } from '../support/guest-processes.js';
import { type Figures, Gauge } from './figures.js';
import { boot, HonestGuest, Tally } from './honest.js';
import { HostileGuests } from './hostile-guests.js';
import { Operators } from './operators.js';

export interface SoakOptions {
  readonly seed: number;
  readonly guests: number;
  /** of each part; longer, if the daemon has not ended in each way by then */
  readonly seconds: number;
  /** between two ends of the daemon */
  readonly every: number;
  /** an ordinary user of the host attacks as well */
  readonly hostUser?: boolean;
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
  readonly figures: Figures;
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
  const hostile = await HostileGuests.start(daemon, given.hostUser ?? false);
  try {
    return await run(part, given, guests, daemon, hostile);
  } finally {
    await hostile.end();
    await guests.close();
    await daemon.remove();
  }
}

async function run(
  part: Part,
  { seed, guests: count, seconds, every, progress }: SoakOptions,
  guests: Guests,
  daemon: TestDaemon,
  hostile: HostileGuests,
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
  if (part.hostile) hostile.begin();
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
  const gauge = new Gauge(daemon);
  const measuring = gauge.run(isOver);
  const everyone = [ending, measuring, honest, changing, hostile.provoke(daemon, isOver)];
  await Promise.all(everyone.map((work) => work?.catch(failed)));
  const attacks = await hostile.end();
  await operators.close();
  if (tally.failures.length > 0) throw new Error(`${part.name}: ${tally.failures.slice(0, 5).join('\n')}`);
  await checkRegistry(daemon, all, hostile.names);
  const after = await settled(daemon, before);
  const { changes, renames, restarts, repeated } = operators;
  return {
    name: part.name,
    answered: tally.answered,
    interrupted: tally.interrupted,
    ends,
    writes: { changes, renames, restarts, repeated },
    hostile: part.hostile ? attacks : {},
    latency: latencyOf(all),
    figures: gauge.figures(),
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

function resourcesOf(pid: number): Resources {
  const [, memory] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, memory: Number(memory) };
}

/** When nobody is connected any more. @throws when descriptors are not back */
async function settled(daemon: TestDaemon, before: Resources): Promise<Resources> {
  const isBack = (): boolean => resourcesOf(daemon.pid).descriptors <= before.descriptors + 1;
  await eventually('the descriptors are back', isBack).catch(async (error: Error) => {
    const [open, detached] = await Promise.all([
      daemon.metric('devlxd_connections'),
      daemon.metric('devlxd_event_listeners'),
    ]);
    throw new Error(
      `${error.message}: ${JSON.stringify(before)}, now ${JSON.stringify({ ...kindsOf(daemon.pid), open, detached })}`,
    );
  });
  return resourcesOf(daemon.pid);
}

/** How many descriptors of each kind. */
function kindsOf(pid: number): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const kind = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\[?\d+\]?/g, '');
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
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

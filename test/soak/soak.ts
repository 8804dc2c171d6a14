import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { Guests } from '../support/guest-processes.js';
import { type Figures, Gauge, loudest } from './figures.js';
import { boot, HonestGuest, Tally } from './honest.js';
import { HostileGuests } from './hostile-guests.js';
import { Operators } from './operators.js';
import { dealt } from './rounds.js';

export interface SoakOptions {
  readonly seed: number;
  readonly guests: number;
  /** at least; longer, until every hostile kind has attacked, and the daemon has ended in each way */
  readonly seconds: number;
  /** of a phase; the daemon is ended once in each */
  readonly every: number;
  /** how many hostile kinds attack at the same time */
  readonly atOnce: number;
  /** only these kinds */
  readonly kinds?: readonly string[] | undefined;
  /** a user of the host attacks as well */
  readonly hostUser?: boolean;
  readonly progress?: (phase: Phase) => void;
}

/** How the daemon ends, and the next one begins: kill -9, in order, or while both are there. */
const ways = ['kill', 'restart', 'takeover'] as const;
type Way = (typeof ways)[number];

export interface Resources {
  readonly descriptors: number;
  /** kB */
  readonly memory: number;
}

/** Some seconds with the same hostile kinds, or with none. */
export interface Phase {
  readonly kinds: readonly string[];
  readonly way: Way;
  /** ms, of each answer */
  readonly latencies: readonly number[];
  readonly figures: Figures;
  /** how often each of the hostile has done what it does */
  readonly counts: Readonly<Record<string, number>>;
}

export interface SoakResult {
  readonly answered: number;
  readonly interrupted: number;
  readonly writes: {
    readonly changes: number;
    readonly renames: number;
    readonly restarts: number;
    readonly repeated: number;
  };
  readonly phases: readonly Phase[];
  /** the messages that take most of the log, in bytes */
  readonly loudest: readonly (readonly [message: string, bytes: number])[];
  /** the first lines about what the daemon did not expect */
  readonly surprises: readonly string[];
  /** instances of hostile guests */
  readonly hostile: number;
  readonly before: Resources;
  readonly after: Resources;
}

/** How many boot at the same time, and operators. */
const [booting, operating] = [16, 4];
/** Enough that a guest that is started anew is known before it is refused, also after a kill. */
const options = ['--limit-hold-seconds', '30', '--limit-connections-per-instance', '128'];
/** Of a phase, before the daemon is ended. */
const beforeEnd = 0.1;

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

/** Phases with and without hostile guests, in turn. @throws Error with what was lost, wrong or refused */
export async function soak(given: SoakOptions): Promise<SoakResult> {
  const guests = new Guests();
  const daemon = await TestDaemon.startWithSockets(options);
  const hostile = await HostileGuests.start(daemon, given.hostUser ?? false);
  try {
    return await run(given, guests, daemon, hostile);
  } finally {
    await hostile.end();
    await guests.close();
    await daemon.remove();
  }
}

async function run(
  given: SoakOptions,
  guests: Guests,
  daemon: TestDaemon,
  hostile: HostileGuests,
): Promise<SoakResult> {
  const random = new Random(given.seed);
  const all = guests.spawn(given.guests).map((guest, n) => new HonestGuest(n, guest));
  const registering = [...all];
  await together(booting, async () => {
    for (let honest = registering.pop(); honest !== undefined; honest = registering.pop()) {
      await daemon.register(honest.name, honest.guest.pid, honest.config(0));
    }
  });
  const tally = new Tally();
  const before = resourcesOf(daemon.pid);
  const operators = new Operators(daemon.runDir, guests, all, random);
  let over = false;
  const isOver = (): boolean => over || tally.failures.length > 0;
  const gauge = new Gauge(daemon);
  const phases: Phase[] = [];
  const attacking = (async () => {
    for (const plan of planned(given, hostile.kinds)) {
      if (isOver()) break;
      phases.push(await phase(plan, given.every, daemon, hostile, tally, gauge));
      given.progress?.(phases.at(-1) as Phase);
    }
    over = true;
  })();
  const honest = together(booting, async () => {
    while (!isOver()) await boot(random.pick(all), daemon.socket, tally);
  });
  // Whoever fails makes it over for all, in order.
  const failed = (error: unknown): void => void tally.failures.push(String(error));
  const changing = together(operating, () => operators.run(isOver));
  const everyone = [attacking, gauge.run(isOver), honest, changing, hostile.provoke(daemon, isOver)];
  await Promise.all(everyone.map((work) => work.catch(failed)));
  await hostile.end();
  await operators.close();
  if (tally.failures.length > 0) {
    const kinds = phases.at(-1)?.kinds.join(', ');
    throw new Error(`${tally.failures.slice(0, 5).join('\n')}\nafter the phase of ${kinds || 'no hostile guests'}`);
  }
  await checkRegistry(daemon, all, hostile.names);
  const after = await settled(daemon, before);
  const { changes, renames, restarts, repeated } = operators;
  return {
    answered: tally.answered,
    interrupted: tally.interrupted,
    writes: { changes, renames, restarts, repeated },
    phases,
    loudest: loudest(daemon.log),
    surprises: daemon.log.filter(({ level }) => Number(level) >= 50).map((line) => JSON.stringify(line)),
    hostile: hostile.names.length,
    before,
    after,
  };
}

/** What happens in one phase. */
interface Plan {
  readonly kinds: readonly string[];
  readonly way: Way;
}

/** With no hostile guests and with some, in turn; the daemon ends in the same way in both. */
function* planned({ seed, seconds, every, atOnce, kinds }: SoakOptions, known: readonly string[]): Generator<Plan> {
  const random = new Random(seed);
  const wanted = kinds ?? known;
  const way = endings(random);
  const sets = dealt(wanted, atOnce, random);
  const enough = Math.max(seconds / every / 2, wanted.length / atOnce, ways.length);
  for (let n = 0; n < enough; n++) {
    const next = way.next().value;
    yield { kinds: [], way: next };
    yield { kinds: sets.next().value, way: next };
  }
}

async function phase(
  { kinds, way }: Plan,
  every: number,
  daemon: TestDaemon,
  hostile: HostileGuests,
  tally: Tally,
  gauge: Gauge,
): Promise<Phase> {
  const latencies: number[] = [];
  tally.latencies = latencies;
  await gauge.begin();
  if (kinds.length > 0) hostile.begin(kinds);
  await pause(every * 1000 * beforeEnd);
  await gauge.readGap();
  tally.isKilling = way === 'kill';
  if (tally.isKilling) tally.kills++;
  await replace(daemon, way);
  tally.isKilling = false;
  await pause(every * 1000 * (1 - beforeEnd));
  await gauge.readGap();
  const figures = gauge.figures();
  const counts = kinds.length > 0 ? await hostile.pause() : {};
  return { kinds, way, latencies, figures, counts };
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

async function together(count: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, work));
}

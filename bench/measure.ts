import { median, spread } from './statistics.js';
import {
  type Bench,
  type Goal,
  loadShare,
  type Running,
  type Sample,
  type Side,
  serverShare,
  type Trial,
} from './trial.js';

/** What rounds may lie apart on a machine that does nothing else. */
const quietSpread = 0.25;

/** Share of one core above which a process counts as saturated. */
const busyPercent = 95;

/** uWebSockets.js signs what it answers itself; devlxd's answers that are given again do without. */
const signature = 'uWebSockets: 20\r\n'.length;

export interface SideResult {
  readonly side: string;
  /** of each round */
  readonly values: readonly number[];
  readonly median: number;
  readonly spread: number;
  /** to the median of the reference */
  readonly ratio: number | null;
  /** medians of what else was seen */
  readonly also: Readonly<Record<string, number>>;
}

export interface TrialResult {
  readonly name: string;
  readonly about: string;
  readonly unit: string;
  readonly reference: string;
  readonly columns: readonly string[];
  readonly sides: readonly SideResult[];
  readonly goal: (Goal & { readonly reached: number; readonly met: boolean }) | null;
  /** the trial has failed when there is one */
  readonly faults: readonly string[];
  readonly notes: readonly string[];
}

/** Called before each round of each side. */
export type OnRound = (trial: string, side: string, round: number) => void;

/** Measures all sides of a trial, interleaved (A B A B), so that a slow minute hits everyone. */
export async function runTrial<Kind extends Running>(
  trial: Trial<Kind>,
  bench: Bench,
  onRound: OnRound = () => undefined,
): Promise<TrialResult> {
  const contestants = trial.sides.map((side) => new Contestant(side, trial, bench));
  for (let round = 1; round <= bench.plan.rounds; round++) {
    for (const contestant of contestants) {
      onRound(trial.name, contestant.name, round);
      if (contestant.faults.length === 0) await contestant.runRound();
    }
  }
  for (const contestant of contestants) await contestant.leave();
  return resultOf(trial, contestants);
}

/** One side during one trial. */
class Contestant<Kind extends Running> {
  readonly #side: Side<Kind>;
  readonly #trial: Trial<Kind>;
  readonly #bench: Bench;
  readonly samples: Sample[] = [];
  readonly faults: string[] = [];
  #server: Kind | undefined;

  constructor(side: Side<Kind>, trial: Trial<Kind>, bench: Bench) {
    this.#side = side;
    this.#trial = trial;
    this.#bench = bench;
  }

  get name(): string {
    return this.#side.name;
  }

  /** A failed round is a fault of the trial, not a figure; the side is left out. */
  async runRound(): Promise<void> {
    try {
      this.#server ??= await this.#side.start(this.#bench);
      const sample = await this.#trial.measure(this.#bench, this.#server);
      if (sample.faults.length === 0) this.samples.push(sample);
      this.#blame(sample.faults);
    } catch (error) {
      this.#blame([(error as Error).message]);
    }
    if (this.#trial.freshServers) await this.leave();
  }

  async leave(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#blame((await server?.stop()) ?? []);
  }

  #blame(faults: readonly string[]): void {
    this.faults.push(...faults.map((fault) => `${this.name}: ${fault}`));
  }
}

function resultOf(trial: Trial<Running>, contestants: readonly Contestant<Running>[]): TrialResult {
  const { name, about, unit, reference, columns } = trial;
  const measured = contestants.filter(({ samples }) => samples.length > 0);
  const base = measured.find((contestant) => contestant.name === reference);
  const baseMedian = base === undefined ? undefined : median(base.samples.map(({ value }) => value));
  const sides = measured.map((contestant) => sideResult(contestant, baseMedian));
  const samples = measured.flatMap((contestant) => contestant.samples);
  const faults = [
    ...contestants.flatMap((contestant) => contestant.faults),
    ...(trial.unlike ? [] : unequalAnswers(sides)),
  ];
  return {
    name,
    about: trial.unpinned ? `${about}; placed by the kernel` : about,
    unit,
    reference,
    columns,
    sides,
    goal: faults.length === 0 ? goalOf(trial, sides) : null,
    faults,
    notes: [...new Set(samples.flatMap(({ notes = [] }) => notes)), ...restless(sides), ...starved(sides)],
  };
}

function sideResult({ name, samples }: Contestant<Running>, base: number | undefined): SideResult {
  const values = samples.map(({ value }) => value);
  const names = Object.keys(samples[0]?.also ?? {});
  const middle = median(values);
  return {
    side: name,
    values,
    median: middle,
    spread: spread(values),
    ratio: base === undefined || base === 0 ? null : middle / base,
    also: Object.fromEntries(names.map((each) => [each, median(samples.map(({ also }) => also[each] ?? 0))])),
  };
}

function goalOf({ goal }: Trial<Running>, sides: readonly SideResult[]): TrialResult['goal'] {
  const own = sides.find(({ side }) => side === (goal?.subject ?? 'devlxd'));
  const reached = goal?.of === 'ratio' ? own?.ratio : own?.median;
  if (goal === undefined || reached === undefined || reached === null) return null;
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = goal;
  return { ...goal, reached, met: reached >= atLeast && reached <= atMost };
}

/** Rounds that lie far apart: something else ran on the machine. */
function restless(sides: readonly SideResult[]): string[] {
  const names = sides.filter((side) => side.spread > quietSpread).map(({ side }) => side);
  return names.length === 0 ? [] : [`the rounds of ${names.join(', ')} differ too much to be relied upon`];
}

/** Sides that waited for the load generator: it was the bottleneck. */
function starved(sides: readonly SideResult[]): string[] {
  const names = sides.filter(({ also }) => isBusy(also[loadShare]) && !isBusy(also[serverShare]));
  if (names.length === 0) return [];
  return [`the load was the limit, not the server, for ${names.map(({ side }) => side).join(', ')}`];
}

function isBusy(percent: number | undefined): boolean {
  return percent !== undefined && percent >= busyPercent;
}

/** A side that sends fewer bytes has less to do. */
function unequalAnswers(sides: readonly SideResult[]): string[] {
  const lengths = sides.flatMap(({ also }) => also['answer bytes'] ?? []);
  if (Math.max(...lengths) - Math.min(...lengths) <= signature) return [];
  const each = sides.map(({ side, also }) => `${side} ${also['answer bytes']}`).join(', ');
  return [`the answers differ in length: ${each} bytes`];
}

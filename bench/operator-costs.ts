import { setTimeout as pause } from 'node:timers/promises';
import { devlxd } from './daemon.js';
import { residentKilobytes } from './memory.js';
import { works as allWorks, apply, config, queuedShare, seconds, type Work, waits } from './operators.js';
import { startup } from './startup.js';
import { shown, table } from './table.js';
import type { Bench, Sample } from './trial.js';

/** What one kind of work, over and over, made a guest wait for that asks meanwhile. */
interface Waits {
  readonly longestMilliseconds: number;
  /** what 99.9 % of its requests did not exceed */
  readonly mostMilliseconds: number;
  /** of the time in which the daemon had something to do, percent in which it waited for a core */
  readonly queuedPercent: number;
  /** the longest that the work itself took; undefined: nobody works */
  readonly workSeconds: number | undefined;
}

/** With one number of instances. */
export interface OperatorCosts {
  readonly size: number;
  /** by the name of the work */
  readonly waits: ReadonlyMap<string, Waits>;
  readonly appliedPerSecond: number;
  /** from the start of the process to its first answer for a guest that ran before */
  readonly startSeconds: number;
  readonly kilobytesEach: number;
  readonly faults: readonly string[];
}

/** By the number of instances; what a start may take, and what a guest may wait. */
const goals = new Map([
  [10_000, { startSeconds: 1, longestMilliseconds: 25 }],
  [100_000, { startSeconds: 3, longestMilliseconds: 50 }],
]);
const [appliedGoal, kilobytesGoal] = [20_000, 3];

/**
 * As much work on the same cores, but none of it in the daemon that the guest asks: what a guest waits for beside it is
 * the machine's, and not the daemon's.
 */
const floor = 'list, of another daemon';
const storedInAnother = 10_000;

/** Not those of the guests. */
const names = 'applied';

/** A guest asks longer beside the first apply, which is the longest work of all. */
const longer = 4;

/** One daemon, from no instance to this many, and then all that is done with them. */
export async function costsOf(bench: Bench, size: number, onStep: (step: string) => void): Promise<OperatorCosts> {
  const daemon = await devlxd({ config }).start(bench);
  const found = new Map<string, Waits>();
  const faults: string[] = [];
  const measure = async (name: string, work?: Work, plan = bench.plan): Promise<void> => {
    onStep(name);
    const sample = await waits({ ...bench, plan }, daemon, work);
    found.set(name, waitsOf(sample));
    faults.push(...sample.faults.map((fault) => `${name}: ${fault}`));
  };
  try {
    await measure('nobody');
    const another = await devlxd({ name: 'another', config, stored: storedInAnother }).start(bench);
    try {
      await measure(floor, () => allWorks.list(bench, another));
    } finally {
      faults.push(...(await another.stop()));
    }
    const before = residentKilobytes(daemon.pid);
    let applied = 0;
    const fill: Work = async () => {
      if (applied > 0) await pause(50);
      else applied = await seconds(() => apply(bench, daemon, size, 'first', names));
    };
    await measure('apply, from nothing', fill, { ...bench.plan, seconds: bench.plan.seconds * longer });
    const changing: Work = (_, __, time) => apply(bench, daemon, 10_000, String(time), names);
    for (const [name, work] of Object.entries({ ...allWorks, apply: changing })) await measure(name, work);
    onStep('start');
    const started = await startup(bench, daemon);
    faults.push(...started.faults);
    const count = Math.ceil(size * bench.plan.scale);
    const kilobytesEach = Math.max(0, residentKilobytes(daemon.pid) - before) / count;
    return {
      size,
      waits: found,
      appliedPerSecond: count / applied,
      startSeconds: started.value,
      kilobytesEach,
      faults,
    };
  } finally {
    faults.push(...(await daemon.stop()));
  }
}

function waitsOf({ also }: Sample): Waits {
  const work = also['work ms'];
  return {
    longestMilliseconds: (also['max us'] ?? 0) / 1000,
    mostMilliseconds: (also['p99.9 us'] ?? 0) / 1000,
    queuedPercent: also[queuedShare] ?? 0,
    workSeconds: work === undefined ? undefined : work / 1000,
  };
}

/** One table for all sizes, with what is wanted of each. */
export function costsText(costs: readonly OperatorCosts[]): string {
  const works = [...(costs[0]?.waits.keys() ?? [])];
  const head = costs.flatMap(({ size }) => {
    const count = size.toLocaleString('en-US');
    return [`${count}: longest ms`, 'of floor', 'p99.9 ms', queuedShare, 'work s', ''];
  });
  const rows = works.map((name) => [name, ...costs.flatMap((cost) => waitCells(cost, name))]);
  const figures = [
    figureRow(costs, 'applied from nothing, instances/s', ({ appliedPerSecond }) => [
      appliedPerSecond,
      appliedPerSecond >= appliedGoal,
    ]),
    figureRow(costs, 'start to first answer of a guest, s', ({ size, startSeconds }) => [
      startSeconds,
      startSeconds <= (goals.get(size)?.startSeconds ?? 0),
    ]),
    figureRow(costs, 'memory for each instance, KB', ({ kilobytesEach }) => [
      kilobytesEach,
      kilobytesEach <= kilobytesGoal,
    ]),
  ];
  const faults = costs.flatMap((cost) => cost.faults.map((fault) => `  FAILED with ${cost.size}: ${fault}`));
  const lines = [...table([['a guest beside', ...head], ...rows, ...figures]), goalLine(), ...faults];
  return `${lines.join('\n')}\n`;
}

function waitCells({ size, waits: found }: OperatorCosts, name: string): string[] {
  const { longestMilliseconds = 0, mostMilliseconds = 0, queuedPercent = 0, workSeconds } = found.get(name) ?? {};
  const ofFloor = longestMilliseconds / (found.get(floor)?.longestMilliseconds || 1);
  const most = goals.get(size)?.longestMilliseconds ?? 0;
  const work = workSeconds === undefined ? '-' : shown(workSeconds);
  const cells = [longestMilliseconds, ofFloor, mostMilliseconds, queuedPercent].map(shown);
  return [...cells, work, name === floor ? 'floor' : met(longestMilliseconds <= most)];
}

function figureRow(
  costs: readonly OperatorCosts[],
  name: string,
  figure: (cost: OperatorCosts) => [value: number, isMet: boolean],
): string[] {
  return [
    name,
    ...costs.flatMap((cost) => {
      const [value, isMet] = figure(cost);
      return [shown(value), '', '', '', '', met(isMet)];
    }),
  ];
}

function met(isMet: boolean): string {
  return isMet ? 'met' : 'NOT MET';
}

function goalLine(): string {
  const each = [...goals].map(
    ([size, { startSeconds, longestMilliseconds }]) =>
      `${size.toLocaleString('en-US')}: no wait above ${longestMilliseconds} ms, start <= ${startSeconds} s`,
  );
  return `  goals: ${each.join('; ')}; apply >= ${appliedGoal}/s; memory <= ${kilobytesGoal} KB`;
}

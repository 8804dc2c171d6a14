import { readFileSync } from 'node:fs';
import type { Machine } from './machine.js';
import type { SideResult, TrialResult } from './measure.js';
import { shown, table } from './table.js';
import type { Plan } from './trial.js';

/** What --json writes. */
export interface Report {
  readonly machine: Machine;
  readonly plan: Plan;
  readonly trials: readonly TrialResult[];
}

/** @throws Error when the file is none of --json */
export function readReport(file: string): Report {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Partial<Report>;
  if (!Array.isArray(report.trials)) throw new Error(`${file} was not written by --json`);
  return report as Report;
}

/**
 * A trial beside the same trial of an earlier run. The last column divides what each side was to the reference then
 * and now: a machine that is slower today is slower for both.
 */
export function comparisonLines(now: TrialResult, base: Pick<Report, 'trials'>): string {
  const before = base.trials.find(({ name }) => name === now.name);
  if (before === undefined) return `\n${now.name}: not in the earlier run\n`;
  const rows = now.sides.flatMap((side) => {
    const earlier = before.sides.find((each) => each.side === side.side);
    return earlier === undefined ? [] : [rowOf(side, earlier)];
  });
  const head = ['', `${now.unit} before`, 'spread', 'now', 'spread', 'now / before', 'ranges', `by / ${now.reference}`];
  return `\n${now.name}, compared\n${table([head, ...rows]).join('\n')}\n`;
}

function rowOf(now: SideResult, before: SideResult): string[] {
  return [
    now.side,
    shown(before.median),
    percent(before.spread),
    shown(now.median),
    percent(now.spread),
    quotient(now.median, before.median),
    overlap(now.values, before.values) ? 'overlap' : 'DIFFER',
    quotient(now.ratio, before.ratio),
  ];
}

function quotient(now: number | null, before: number | null): string {
  return now === null || before === null || before === 0 ? '-' : (now / before).toFixed(2);
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}

/** Ranges without a common point: more has changed than the rounds of one run differ by. */
function overlap(now: readonly number[], before: readonly number[]): boolean {
  return Math.max(...now) >= Math.min(...before) && Math.max(...before) >= Math.min(...now);
}

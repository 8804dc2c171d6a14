import type { Machine } from './machine.js';
import type { SideResult, TrialResult } from './measure.js';
import { shown, table } from './table.js';
import type { Plan } from './trial.js';

/** "AMD EPYC, 2 cores, ..." */
export function machineLine(machine: Machine): string {
  const { cpu, cores, memoryMegabytes, kernel, node, pinned, loadAverage } = machine;
  const pins = pinned ? 'server and load on a core each' : 'server and load share what there is';
  const memory = `${Math.round(memoryMegabytes / 1024)} GB`;
  return `${cpu}, ${cores} cores, ${memory}, Linux ${kernel}, Node ${node}; ${pins}; load average ${loadAverage.toFixed(2)}`;
}

export function planLine({ rounds, seconds, warmup, scale }: Plan): string {
  const fewer = scale < 1 ? `; ${scale * 100} % of the instances` : '';
  return `${rounds} rounds of ${seconds} s after ${warmup} s of warm-up, interleaved; medians${fewer}`;
}

/** A trial as lines for a terminal. */
export function trialLines(result: TrialResult): string {
  const lines = [`\n${result.name}: ${result.about}`, ...table(rowsOf(result))];
  for (const note of result.notes) lines.push(`  note: ${note}`);
  if (result.goal !== null) lines.push(`  ${goalLine(result, result.goal)}`);
  for (const fault of result.faults) lines.push(`  FAILED ${fault}`);
  return `${lines.join('\n')}\n`;
}

/** A head and a row for each side. */
export function rowsOf({ unit, reference, columns, sides }: TrialResult): string[][] {
  return [
    ['', unit, 'spread', `/ ${reference}`, ...columns],
    ...sides.map((side) => [
      side.side,
      shown(side.median),
      `${(side.spread * 100).toFixed(1)} %`,
      side.ratio === null ? '-' : side.ratio.toFixed(2),
      ...columns.map((column) => alsoShown(side, column)),
    ]),
  ];
}

function alsoShown({ also }: SideResult, column: string): string {
  const value = also[column];
  return value === undefined ? '-' : shown(value);
}

function goalLine(trial: TrialResult, goal: NonNullable<TrialResult['goal']>): string {
  return `goal: ${goalSentence(trial, goal)}: ${goal.reached.toFixed(2)}, ${goal.met ? 'met' : 'NOT MET'}`;
}

/** "devlxd / floor >= 0.9" */
export function goalSentence({ unit, reference }: TrialResult, goal: NonNullable<TrialResult['goal']>): string {
  const { subject = 'devlxd' } = goal;
  const what = goal.of === 'ratio' ? `${subject} / ${reference}` : `${subject}, ${unit}`;
  const bound = goal.atLeast === undefined ? `<= ${goal.atMost}` : `>= ${goal.atLeast}`;
  return `${what} ${bound}`;
}

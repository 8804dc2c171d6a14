import type { Report } from '../compare.js';
import { machineLine, planLine, rowsOf } from '../print.js';
import { goalsOf } from './goals.js';

/** The goals and all figures, as a page of Markdown. */
export function markdownOf({ machine, plan, trials }: Report): string {
  const goals = goalsOf(trials).map(({ trial, about, goal, reached, spread, met }) => [
    `\`${trial}\``,
    about,
    goal,
    reached,
    spread,
    met ? 'met' : '**not met**',
  ]);
  return [
    '# A run of the benchmark',
    '',
    `${machineLine(machine)}. ${planLine(plan)}. Made by \`npm run bench -- --report\`; docs/benchmarks.md says how to`,
    'read it.',
    '',
    '## Goals',
    '',
    ...table([['trial', 'what', 'goal', 'reached', 'spread', ''], ...goals]),
    ...trials.flatMap((trial) => [
      '',
      `## ${trial.name}`,
      '',
      `${trial.about}.`,
      '',
      ...table(rowsOf(trial)),
      ...trial.notes.map((note) => `\nNote: ${note}.`),
      ...trial.faults.map((fault) => `\nFAILED: ${fault}`),
    ]),
    '',
  ].join('\n');
}

function table([head = [], ...rows]: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)];
}

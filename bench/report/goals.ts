import type { TrialResult } from '../measure.js';
import { goalSentence } from '../print.js';
import { shown } from '../table.js';

/** A goal, and what came of it. */
export interface GoalRow {
  readonly trial: string;
  readonly about: string;
  readonly goal: string;
  readonly reached: string;
  /** of the side that the goal is for, of all rounds: (greatest - least) / median */
  readonly spread: string;
  readonly met: boolean;
}

export function goalsOf(trials: readonly TrialResult[]): GoalRow[] {
  return trials.flatMap((trial) => {
    const { name, about, goal, sides } = trial;
    if (goal === null) return [];
    const own = sides.find(({ side }) => side === (goal.subject ?? 'devlxd'));
    return [
      {
        trial: name,
        about,
        goal: goalSentence(trial, goal),
        reached: shown(goal.reached),
        spread: own === undefined ? '-' : `${(own.spread * 100).toFixed(0)} %`,
        met: goal.met,
      },
    ];
  });
}

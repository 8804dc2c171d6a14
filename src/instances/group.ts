import { Turn } from '../concurrency/turn.js';
import type { AnyChange } from '../model/changes.js';
import type { EventClock } from '../model/guest-events.js';
import type { OpenCommit } from '../store/open-commit.js';
import { Commit } from './commit.js';
import { Draft } from './draft.js';
import type { Done, Job } from './jobs.js';
import type { Tables } from './tables.js';

/** Transactions that are written together. */
export interface Group {
  /** those that did not throw */
  readonly done: readonly Done[];
  readonly commit: Commit;
}

/**
 * Drafts transactions one after the other. One that throws is rejected, and left out.
 * open: of a job that is alone: its changes are written while it makes them, and given up when it throws
 */
export async function drafted(
  jobs: readonly Job[],
  tables: Tables,
  clock: EventClock,
  open?: OpenCommit,
): Promise<Group> {
  const draft = new Draft(tables, () => clock.next());
  const commit = new Commit(draft, clock);
  const turn = new Turn();
  const done: Done[] = [];
  for (const job of jobs) {
    try {
      if (job.kind === 'rehearsal') job.resolve((await draft.rehearse(job.work)) as never);
      else done.push({ job, value: await (open === undefined ? apart(job) : alone(job, open)) });
    } catch (error) {
      open?.giveUp();
      job.reject(error);
    }
    const pause = turn.end();
    if (pause !== undefined) await pause;
  }
  return { done, commit };

  async function alone({ work, requestor }: Job, open: OpenCommit): Promise<unknown> {
    const value = await draft.run(work, (change) => open.add(commit.add(change)));
    commit.transactions.push({ changes: commit.written, requestor });
    return value;
  }

  async function apart({ work, requestor }: Job): Promise<unknown> {
    const changes: AnyChange[] = [];
    const value = await draft.run(work, (change) => changes.push(change));
    for (const change of changes) {
      commit.add(change);
      const pause = turn.end();
      if (pause !== undefined) await pause;
    }
    commit.transactions.push({ changes, requestor });
    return value;
  }
}

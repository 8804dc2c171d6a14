import { ApiError, ConnectionError } from '../client/client-errors.js';
import type { HostClient } from '../client/host-client.js';
import type { Progress } from '../client/requests.js';
import type { StagedBatch } from '../client/staged-batch.js';
import { Fault } from '../errors.js';
import type { Item, Plan } from './plan.js';
import { bodyOf, type Part } from './transactions.js';

/** What is told of each transaction. */
export type ProgressOf = (part: Part, index: number) => Progress;

/** What there is to do now. */
type PlanAgain = () => Promise<Plan>;

const notFound = 404;

/**
 * Has transactions done, one after the other, until one fails. The daemon gets the next one while one is written, but
 * for its end, without which it does nothing.
 * @throws ApiError of the first that fails, or Fault where its answer is lost, with what is done and what is not
 */
export async function writeParts(
  client: HostClient,
  parts: readonly Part[],
  planAgain: PlanAgain,
  progressOf: ProgressOf,
): Promise<void> {
  let latest: ReadonlyMap<string, Item> = new Map();
  let staged: StagedBatch | undefined;
  try {
    for (const [index, part] of parts.entries()) {
      const next = parts[index + 1];
      const changesTags = next !== undefined && isOfChangedProfiles(part);
      staged ??= client.stageBatch(latestBody(part, latest));
      try {
        const { id } = await staged.commit();
        staged = next === undefined || changesTags ? undefined : client.stageBatch(latestBody(next, latest));
        await client.operations.wait(id, progressOf(part, index)).catch(failWithoutOperation);
      } catch (error) {
        const outcome = await outcomeOf(error, part, planAgain);
        if (outcome !== 'done') throw described(ofItem(error, part.items), outcome, index, parts.length);
      }
      // What profiles change in the instances that use them is in the entity tags of those.
      if (changesTags) latest = byName(await planAgain());
    }
  } finally {
    staged?.discard();
  }
}

/** The daemon is another process by now, which knows nothing of an operation of the one before it. */
class Forgotten extends Error {}

function failWithoutOperation(error: unknown): never {
  throw error instanceof ApiError && error.status === notFound ? new Forgotten('the daemon was restarted') : error;
}

type Outcome = 'done' | 'not done' | 'unknown';

/** What has become of a transaction. */
async function outcomeOf(error: unknown, { items }: Part, planAgain: PlanAgain): Promise<Outcome> {
  if (!(error instanceof Forgotten || error instanceof ConnectionError)) return 'not done';
  try {
    const open = byName(await planAgain());
    if (!items.some((item) => open.has(keyOf(item)))) return 'done';
    return error instanceof Forgotten ? 'not done' : 'unknown'; // a daemon that is still there may be at it
  } catch {
    return 'unknown';
  }
}

function described(error: unknown, outcome: Outcome, index: number, count: number): unknown {
  if (!(error instanceof Error)) return error;
  const words = [count === 1 ? error.message : `transaction ${index + 1} of ${count}: ${error.message}`];
  if (outcome === 'unknown') words.push('whether it is done is not known');
  if (count > 1) words.push(index === 0 ? 'no other is done' : `the ${index} before it are done, no others`);
  const sentence = words.join('; ');
  if (error instanceof ApiError) return new ApiError(error.status, sentence);
  const isLost = error instanceof Forgotten || error instanceof ConnectionError;
  return isLost ? new Fault('no-daemon', sentence, error) : error;
}

function isOfChangedProfiles({ items }: Part): boolean {
  return items.some(({ kind, isNew }) => kind === 'profile' && !isNew);
}

function byName({ items }: Plan): ReadonlyMap<string, Item> {
  return new Map(items.map((item) => [keyOf(item), item]));
}

function keyOf({ kind, name }: Item): string {
  return `${kind} ${name}`;
}

/** The lines of a transaction, each held to the latest version that still differs in what was shown. */
function latestBody({ items, body }: Part, latest: ReadonlyMap<string, Item>): Buffer {
  return latest.size === 0 ? body : bodyOf(items.map((item) => latestOf(item, latest).line));
}

function latestOf(item: Item, latest: ReadonlyMap<string, Item>): Item {
  const now = latest.get(keyOf(item));
  return now !== undefined && JSON.stringify(now.changes) === JSON.stringify(item.changes) ? now : item;
}

/** The lines of a batch are not the ones of the file. */
export function ofItem(error: unknown, items: readonly Item[]): unknown {
  if (!(error instanceof ApiError)) return error;
  const [, number, sentence] = /^line (\d+): (.*)$/s.exec(error.message) ?? [];
  const item = items[Number(number) - 1];
  return item === undefined ? error : new ApiError(error.status, `${item.kind} ${item.name}: ${sentence}`);
}

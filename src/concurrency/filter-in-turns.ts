import { Turn } from './turn.js';

/** Those items that match, in their order; guests have their turns meanwhile. */
export async function filterInTurns<Item>(
  items: readonly Item[],
  matches: (item: Item) => boolean,
  turn = new Turn(),
): Promise<Item[]> {
  const chosen: Item[] = [];
  for (const item of items) {
    if (matches(item)) chosen.push(item);
    const pause = turn.end();
    if (pause !== undefined) await pause;
  }
  return chosen;
}

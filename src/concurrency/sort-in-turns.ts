import { Turn } from './turn.js';

/** What is sorted in one piece, and how many are merged between two looks at the clock. */
const run = 512;

/** The items in order, stably, as sort() gives them; guests have their turns meanwhile. The array is used up. */
export async function sortInTurns<Item>(items: Item[], compare: (a: Item, b: Item) => number): Promise<Item[]> {
  if (items.length <= run) return items.sort(compare);
  const turn = new Turn();
  for (let from = 0; from < items.length; from += run) {
    const sorted = items.slice(from, from + run).sort(compare);
    for (const [index, item] of sorted.entries()) items[from + index] = item;
    await turn.end();
  }
  let [source, target] = [items, new Array<Item>(items.length)];
  for (let width = run; width < items.length; width *= 2) {
    for (let from = 0; from < items.length; from += 2 * width) await merge(source, target, from, width, compare, turn);
    [source, target] = [target, source];
  }
  return source;
}

/** Merges two sorted runs that lie beside each other into the same places of the other array. */
async function merge<Item>(
  source: readonly Item[],
  target: Item[],
  from: number,
  width: number,
  compare: (a: Item, b: Item) => number,
  turn: Turn,
): Promise<void> {
  const middle = Math.min(from + width, source.length);
  const end = Math.min(from + 2 * width, source.length);
  let [left, right] = [from, middle];
  for (let at = from; at < end; at++) {
    const takeLeft = left < middle && (right >= end || compare(source[left] as Item, source[right] as Item) <= 0);
    target[at] = source[takeLeft ? left++ : right++] as Item;
    if (at % run === 0) await turn.end();
  }
}

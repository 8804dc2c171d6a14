/** The known word that was probably meant: the one that fewest changes make of it; undefined when none is near. */
export function closestMatch(given: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let fewest = Math.max(1, Math.floor(given.length / 4)) + 1;
  for (const word of known) {
    if (Math.abs(word.length - given.length) >= fewest) continue;
    const changes = changesBetween(given, word);
    if (changes >= fewest) continue;
    fewest = changes;
    best = word;
  }
  return best;
}

/** The same for the name of a field, which may also be cut short (conf) or spelt out (configuration). */
export function closestField(given: string, known: readonly string[]): string | undefined {
  const field = given.toLowerCase();
  const isOne = (short: string, long: string): boolean =>
    short.length >= shortestAbbreviation && long.startsWith(short) && /^[a-z]+$/.test(long);
  return closestMatch(field, known) ?? known.find((name) => isOne(field, name) || isOne(name, field));
}

const shortestAbbreviation = 3;

/** Letters to be inserted, left out, replaced or swapped with their neighbour (optimal string alignment). */
function changesBetween(a: string, b: string): number {
  let [twoBefore, before] = [[] as number[], Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(before, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(replaced, at(before, j) + 1, at(row, j - 1) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(at(row, j), at(twoBefore, j - 2) + 1);
    }
    [twoBefore, before] = [before, row];
  }
  return at(before, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}

import { invalid } from '../errors.js';

/** What the words of a hook say. */
export interface Told {
  /** by their names, such as --name */
  readonly options: Readonly<Record<string, string>>;
  /** KEY=VALUE */
  readonly config: Readonly<Record<string, string>>;
}

const assignment = /^([^=\s]+)=(.*)$/s;

/**
 * known: the options that this hook has
 * @throws Fault invalid-value, naming the word
 */
export function wordsOf(words: readonly string[], known: readonly string[]): Told {
  const options: Record<string, string> = {};
  const config: [string, string][] = [];
  const left = [...words];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const [, key = word, value] = assignment.exec(word) ?? [];
    if (word.startsWith('--')) options[optionOf(key, known)] = valueFor(key, value ?? left.shift());
    else if (value === undefined) throw invalid(word, 'is not KEY=VALUE');
    else config.push([key, value]);
  }
  return { options, config: Object.fromEntries(config) };
}

function optionOf(word: string, known: readonly string[]): string {
  if (known.includes(word)) return word;
  throw invalid(word, `is no option of this hook; it has ${known.join(', ')}`);
}

function valueFor(option: string, value: string | undefined): string {
  if (value) return value;
  throw invalid(option, 'needs a value');
}

/** @throws Fault invalid-value, naming the field */
export function pidOf(field: string, given: string | number | undefined): number {
  const pid = Number(given);
  if (given === undefined || given === '') throw invalid(field, 'is missing');
  if (!Number.isInteger(pid) || pid < 1) throw invalid(field, `"${given}" is no pid`);
  return pid;
}

import { OptionError } from '../config/options.js';
import { nameOfInput, readInput, textOf } from './input.js';

/** For --help of the commands that take values. */
export const valuesHelp = `
A value that begins with @ is read from a file, byte for byte: key=@FILE; key=@-, key=- and KEY - read standard input.
@@ stands for one @ at the beginning of a value.`;

/**
 * The words of a command that sets keys: key=value, or a key and its value.
 * @throws OptionError
 */
export function valuesIn(words: readonly string[]): Record<string, string> {
  const [key = '', value] = words;
  const pairs = words.length === 2 && value !== undefined && !key.includes('=') ? [`${key}=${value}`] : words;
  const given = Object.entries(configOf(pairs));
  if (given.filter(([, each]) => each === '-' || each === '@-').length > 1)
    throw new OptionError('Only one value can be read from standard input.');
  return Object.fromEntries(given.map(([name, each]) => [name, readValue(name, each)]));
}

/** key=value words as an object. */
export function configOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=');
      if (equals < 1) throw new OptionError(`"${pair}" is not of the form key=value.`);
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}

function readValue(key: string, given: string): string {
  if (given.startsWith('@@')) return given.slice(1);
  const file = given === '-' ? '-' : given.startsWith('@') ? given.slice(1) : undefined;
  if (file === undefined) return given;
  if (file === '') throw new OptionError(`${key}: @ is followed by the name of a file; @@ stands for a value "@".`);
  return textOf(readInput(file), `${key}, from ${nameOfInput(file)}`);
}

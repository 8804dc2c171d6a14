import { readFileSync } from 'node:fs';
import { OptionError } from '../config/options.js';

/**
 * The bearer token in the file of --metrics-token-file; undefined: none is wanted.
 * @throws OptionError
 */
export function metricsTokenIn(file: string): string | undefined {
  if (file === '') return undefined;
  const token = textOf(file).replace(/\r?\n$/, '');
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token;
  throw new OptionError(`--metrics-token-file ${file} must have one line: a token of printable ASCII without spaces.`);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new OptionError(`--metrics-token-file ${file} cannot be read: ${(error as Error).message}`);
  }
}

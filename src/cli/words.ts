import { readFileSync } from 'node:fs';
import { OptionError } from '../config/options.js';
import { firstBadByte, isText } from '../text/utf8.js';
import { whatToDo } from './input.js';

/**
 * Node makes U+FFFD of each byte on the command line that is not UTF-8. The kernel has the words as they were given.
 * @throws OptionError, naming the key whose value is no text
 */
export function checkWords(words: readonly string[]): void {
  if (!words.some((word) => word.includes('\ufffd'))) return;
  const given = readFileSync('/proc/self/cmdline').toString('latin1').split('\0').slice(0, -1).slice(-words.length);
  for (const [index, word] of given.map((each) => Buffer.from(each, 'latin1')).entries()) {
    if (isText(word)) continue;
    const equals = word.indexOf('=');
    const isKey = equals > 0 && isText(word.subarray(0, equals));
    const value = isKey ? word.subarray(equals + 1) : word;
    const what = isKey ? word.toString('utf8', 0, equals) : `Word ${index + 1} of the command line`;
    throw new OptionError(`${what}: not UTF-8 at byte ${firstBadByte(value)}; ${whatToDo}`);
  }
}

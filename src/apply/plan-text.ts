import { visible } from '../text/width.js';
import type { FieldChange } from './difference.js';
import type { Item, Plan } from './plan.js';
import type { LeftOut } from './wanted.js';

const longest = 100;
const colors = { '+': 32, '-': 31, '~': 33 } as const;
type Sign = keyof typeof colors;

/** What is to be done with one thing, for people. */
export function itemText({ kind, name, isNew, changes }: Item, colored: boolean): string {
  const head = `${kind} ${name}: ${isNew ? 'new' : 'to change'}`;
  return [head, ...changes.map((change) => changeLine(change, colored))].join('\n');
}

/** What will have been done, in numbers. */
export function summary({ items, unchanged }: Plan): string {
  const created = items.filter(({ isNew }) => isNew).length;
  return `${created} to create, ${items.length - created} to change, ${unchanged} as they should be.`;
}

/** What of a file is not done, for people; '' where all of it is. */
export function leftOutText(leftOut: LeftOut): string {
  const places = { file: 'the file', profile: 'profiles', instance: 'instances' } as const;
  const parts = [...leftOut].map(([kind, fields]) => `of ${places[kind]}: ${[...fields].sort().join(', ')}`);
  return parts.length === 0 ? '' : `Left out, as devlxd sets none of it, ${parts.join('; ')}.`;
}

function changeLine({ field, before, after }: FieldChange, colored: boolean): string {
  const sign: Sign = before === undefined ? '+' : after === undefined ? '-' : '~';
  const values = [before, after].filter((value) => value !== undefined).map(short);
  const line = `  ${sign} ${visible(field)}: ${values.join(' -> ')}`;
  return colored ? `\x1b[${colors[sign]}m${line}\x1b[0m` : line;
}

/** A value on one line. */
function short(value: string): string {
  const lines = value.split('\n').length;
  if (lines > 1) return `(${lines} lines, ${Buffer.byteLength(value)} bytes)`;
  return value.length > longest
    ? `${visible(value.slice(0, longest))}... (${value.length} characters)`
    : visible(value);
}

import { quoted } from './quoted.js';
import { Refusal } from './refusal.js';
import type { Value } from './values.js';

/** Of what is written once more, in characters of text and in nodes. */
const longestCopy = 4096;

/** A value on one line, to stand in any place. Aliases in it are followed, so it may be longer than what it is made of. */
export function printed(value: Value): string {
  const text = valueText(value, { left: longestCopy });
  if (text.includes('\n')) throw new Refusal('not certain');
  return text;
}

function valueText(value: Value, room: { left: number }): string {
  room.left -= value.kind === 'text' ? value.text.length : 1;
  if (room.left < 0) throw new Refusal('too complex');
  const inner = (each: Value) => valueText(each, room);
  switch (value.kind) {
    case 'text':
      return quoted(value.text);
    case 'list':
      return `[${value.items.map(inner).join(', ')}]`;
    case 'map':
      return `{${value.pairs.map(([key, each]) => `${inner(key)}: ${inner(each)}`).join(', ')}}`;
    case 'other':
      if (value.tag !== '') throw new Refusal('not certain');
      return value.source === '' ? 'null' : value.source;
  }
}

import type { BatchLine } from '../api/types.js';
import type { Item } from './plan.js';

/** What one batch of a daemon may have; 0: any number. */
export interface BatchLimits {
  readonly lines: number;
  readonly bytes: number;
}

/** The lines of one transaction, and their text as it is sent. */
export interface Part {
  readonly items: readonly Item[];
  readonly text: string;
}

/**
 * One transaction where the daemon takes all of it at once, else as few as there can be. Then profiles that are changed
 * are one of their own: the entity tags of instances may change with them.
 */
export function partsOf(items: readonly Item[], limits: BatchLimits): Part[] {
  const all = filled(items, limits);
  if (all.length <= 1) return all;
  const isFirst = ({ kind }: Item) => kind === 'profile';
  return [
    ...filled(items.filter(isFirst), limits),
    ...filled(
      items.filter((item) => !isFirst(item)),
      limits,
    ),
  ];
}

function filled(items: readonly Item[], { lines, bytes }: BatchLimits): Part[] {
  const parts: { items: Item[]; texts: string[]; length: number }[] = [];
  for (const item of items) {
    const text = lineText(item.line);
    const length = Buffer.byteLength(text);
    const last = parts.at(-1);
    const isFull =
      last === undefined || (lines > 0 && last.items.length >= lines) || (bytes > 0 && last.length + length > bytes);
    if (isFull) parts.push({ items: [item], texts: [text], length });
    else {
      last.items.push(item);
      last.texts.push(text);
      last.length += length;
    }
  }
  return parts.map((part) => ({ items: part.items, text: part.texts.join('') }));
}

export function lineText(line: BatchLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** The line without the names of these profiles. */
export function withoutProfiles(line: BatchLine, without: ReadonlySet<string>): BatchLine {
  const { profiles } = (line.body ?? {}) as { readonly profiles?: readonly string[] };
  if (profiles === undefined || !profiles.some((name) => without.has(name))) return line;
  return { ...line, body: { ...line.body, profiles: profiles.filter((name) => !without.has(name)) } };
}

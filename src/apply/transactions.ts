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
 * are one of their own: the entity tags of instances may change with them. items: profiles first
 */
export function partsOf(items: readonly Item[], limits: BatchLimits): Part[] {
  const texts = items.map(({ line }) => lineText(line));
  const all = filled(items, texts, limits);
  const profiles = items.findIndex(({ kind }) => kind !== 'profile');
  if (all.length <= 1 || profiles <= 0) return all;
  return [
    ...filled(items.slice(0, profiles), texts.slice(0, profiles), limits),
    ...filled(items.slice(profiles), texts.slice(profiles), limits),
  ];
}

function filled(items: readonly Item[], texts: readonly string[], { lines, bytes }: BatchLimits): Part[] {
  const parts: Part[] = [];
  let [from, length] = [0, 0];
  const end = (to: number): void => {
    if (to > from) parts.push({ items: items.slice(from, to), text: texts.slice(from, to).join('') });
    [from, length] = [to, 0];
  };
  for (const [index, text] of texts.entries()) {
    const more = Buffer.byteLength(text);
    const isFull = (lines > 0 && index - from >= lines) || (bytes > 0 && length + more > bytes);
    if (isFull) end(index);
    length += more;
  }
  end(items.length);
  return parts;
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

import { fitted, padded, visible, widthOf } from './text-width.js';

/** One column of a listing. */
export interface Column<Row> {
  readonly heading: string;
  /** for programs: complete */
  readonly value: (row: Row) => string;
  /** for people, where that is something else */
  readonly short?: (row: Row) => string;
}

const between = 2;
/** No column is made narrower than this. */
const narrowest = 6;

/** Rows under headings; where they are wider than the terminal, the widest columns give way. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], terminal: number): string {
  const cells = rows.map((row) => columns.map(({ value, short = value }) => visible(short(row))));
  const lines = [columns.map(({ heading }) => heading), ...cells];
  const widths = columns.map((_, index) => widest(lines, index));
  giveWay(widths, terminal - between * (columns.length - 1));
  return lines.map((line) => lineOf(line, widths)).join('\n');
}

/** What a terminal is wide; a file or a pipe has room for everything. */
export function terminalWidth({ isTTY, columns }: NodeJS.WriteStream = process.stdout): number {
  return isTTY ? columns || 80 : Number.POSITIVE_INFINITY;
}

function widest(lines: readonly (readonly string[])[], index: number): number {
  return lines.reduce((width, line) => Math.max(width, widthOf(line[index] ?? '')), 0);
}

function giveWay(widths: number[], room: number): void {
  let excess = widths.reduce((sum, width) => sum + width, 0) - room;
  while (excess > 0) {
    const width = Math.max(...widths);
    const others = widths.filter((other) => other < width);
    const step = Math.min(excess, width - Math.max(narrowest, ...others));
    if (width <= narrowest) return;
    widths[widths.lastIndexOf(width)] = width - Math.max(1, step);
    excess -= Math.max(1, step);
  }
}

function lineOf(line: readonly string[], widths: readonly number[]): string {
  const cells = line.map((cell, index) => padded(fitted(cell, widths[index] ?? 0), widths[index] ?? 0));
  return cells.join(' '.repeat(between)).trimEnd();
}

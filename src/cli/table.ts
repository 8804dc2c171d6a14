import { fitted, padded, visible, widthOf } from '../text/width.js';

/** One column of a listing. */
export interface Column<Row> {
  readonly heading: string;
  /** for programs: complete */
  readonly value: (row: Row) => string;
  /** for people, where that is something else */
  readonly short?: (row: Row) => string;
  /** half of it says nothing: others give way first */
  readonly whole?: true;
}

const between = 2;
/** No column is made narrower than this. */
const narrowest = 6;

/** Rows under headings; where they are wider than the terminal, the widest columns give way. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], terminal: number): string {
  const cells = rows.map((row) => columns.map(({ value, short = value }) => visible(short(row))));
  const lines = [columns.map(({ heading }) => heading), ...cells];
  const natural = columns.map((_, index) => widest(lines, index));
  const widths = fittedWidths(columns, natural, terminal - between * (columns.length - 1));
  return lines.map((line) => lineOf(line, widths)).join('\n');
}

/** What a terminal is wide; a file or a pipe has room for everything. */
export function terminalWidth({ isTTY, columns }: NodeJS.WriteStream = process.stdout): number {
  return isTTY ? columns || 80 : Number.POSITIVE_INFINITY;
}

function widest(lines: readonly (readonly string[])[], index: number): number {
  return lines.reduce((width, line) => Math.max(width, widthOf(line[index] ?? '')), 0);
}

function fittedWidths<Row>(columns: readonly Column<Row>[], natural: readonly number[], room: number): number[] {
  const give = natural.filter((_, index) => !columns[index]?.whole);
  const taken = sumOf(natural) - sumOf(give);
  const areWhole = room - taken >= narrowest * give.length;
  const limit = areWhole ? limitFor(give, room - taken) : limitFor(natural, room);
  return natural.map((width, index) => (areWhole && columns[index]?.whole ? width : Math.min(width, limit)));
}

/** The width that no column may be beyond so that all fit into the room. */
function limitFor(widths: readonly number[], room: number): number {
  const takes = (limit: number) => sumOf(widths.map((width) => Math.min(width, limit)));
  let [low, high] = [narrowest, Math.max(narrowest, ...widths)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (takes(middle) <= room) low = middle;
    else high = middle - 1;
  }
  return low;
}

function sumOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0);
}

function lineOf(line: readonly string[], widths: readonly number[]): string {
  const cells = line.map((cell, index) => padded(fitted(cell, widths[index] ?? 0), widths[index] ?? 0));
  return cells.join(' '.repeat(between)).trimEnd();
}

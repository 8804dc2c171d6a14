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
  const { heading, lines } = tableOf(columns, rows, terminal);
  return [heading, ...lines(rows)].join('\n');
}

/** A table of more rows than are known yet. */
export interface Table<Row> {
  readonly heading: string;
  lines(rows: readonly Row[]): string[];
}

/** Columns as wide as the first rows need; what is wider later is cut on a terminal, and complete elsewhere. */
export function tableOf<Row>(columns: readonly Column<Row>[], first: readonly Row[], terminal: number): Table<Row> {
  const headings = columns.map(({ heading }) => heading);
  const cellsOf = (row: Row) => columns.map(({ value, short = value }) => visible(short(row)));
  const known = [headings, ...first.map(cellsOf)];
  const natural = columns.map((_, index) => widest(known, index));
  const widths = fittedWidths(columns, natural, terminal - between * (columns.length - 1));
  const cut = terminal === Number.POSITIVE_INFINITY ? (cell: string) => cell : fitted;
  return {
    heading: lineOf(headings, widths, cut),
    lines: (rows) => rows.map((row) => lineOf(cellsOf(row), widths, cut)),
  };
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

function lineOf(line: readonly string[], widths: readonly number[], cut: typeof fitted): string {
  const cells = line.map((cell, index) => padded(cut(cell, widths[index] ?? 0), widths[index] ?? 0));
  return cells.join(' '.repeat(between)).trimEnd();
}

import { spawnSync } from 'node:child_process';
import { type Command, Option } from 'commander';
import { csv } from './csv.js';
import { type Column, table, terminalWidth } from './table.js';

/** Prints what may be longer than the terminal: there it goes through $PAGER, or less, as git's output does. */
export function page(text: string): void {
  const { isTTY, rows = 24 } = process.stdout;
  const isLong = isTTY && text.split('\n').length > rows;
  if (isLong && pagedBy(pagerCommand(), text)) return;
  process.stdout.write(text);
}

export function pagerCommand(): string {
  return process.env['PAGER'] || 'less';
}

/** LESS: ends at once when all fits, leaves the text on the screen. */
export function pagerEnvironment(): NodeJS.ProcessEnv {
  return { LESS: 'FRX', ...process.env };
}

function pagedBy(pager: string, input: string): boolean {
  const env = pagerEnvironment();
  const { status } = spawnSync('sh', ['-c', pager], { env, input, stdio: ['pipe', 'inherit', 'inherit'] });
  return status !== null && status !== 126 && status !== 127;
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export const formats = ['table', 'json', 'yaml', 'csv'] as const;
export type Format = (typeof formats)[number];

/** --format, which every command has that shows something. */
export function formatOption(byDefault: Format = 'table'): Option {
  return new Option('--format <format>', 'how').choices(formats).default(byDefault);
}

/**
 * Prints a list as --format says. none: what people are told when there is nothing in it, filter or not; noun: of what
 * the total on a terminal is
 */
export async function printList<Row>(
  command: Command,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  none: string,
  noun?: string,
): Promise<void> {
  const format = command.getOptionValue('format') as Format;
  if (format === 'csv') {
    if (rows.length > 0) print(csv(rows.map((row) => columns.map(({ value }) => value(row)))));
  } else if (format === 'table' && rows.length === 0) {
    print(command.getOptionValue('filter') ? 'None fits the filter.' : none);
  } else if (format === 'table') {
    const total = noun === undefined || !process.stdout.isTTY ? '' : `\n\n${rows.length} ${noun}`;
    page(`${table(columns, rows, terminalWidth())}${total}\n`);
  } else print(await serialized(rows, format));
}

/** Prints one thing as --format says; as a table or CSV it is a line for each key. */
export async function printOne(command: Command, shown: object): Promise<void> {
  const format = command.getOptionValue('format') as Format;
  if (format === 'json' || format === 'yaml') {
    print(await serialized(shown, format));
    return;
  }
  await printList(command, pairColumns, [...pairsOf(shown, '')], '');
}

type Pair = readonly [key: string, value: string];

const pairColumns: readonly Column<Pair>[] = [
  { heading: 'KEY', value: ([key]) => key },
  { heading: 'VALUE', value: ([, value]) => value },
];

function* pairsOf(value: unknown, path: string): Iterable<Pair> {
  if (typeof value !== 'object' || value === null) yield [path, String(value)];
  else if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) yield [path, value.join(', ')];
  else for (const [name, inner] of Object.entries(value)) yield* pairsOf(inner, path === '' ? name : `${path}.${name}`);
}

async function serialized(value: unknown, format: 'json' | 'yaml'): Promise<string> {
  return format === 'json' ? JSON.stringify(value) : (await import('./yaml.js')).yamlOf(value);
}

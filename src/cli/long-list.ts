import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { csv } from './csv.js';
import { type Format, pagerCommand, pagerEnvironment, printList } from './output.js';
import { type Column, tableOf, terminalWidth } from './table.js';

/** Rows by which the columns of a longer list are made, and that are printed at once. */
const portion = 1000;

/** What a list is printed with; none and noun: as printList has them. */
interface LongList<Row> {
  /** isAll: there are no others */
  readonly columnsOf: (first: readonly Row[], isAll: boolean) => Promise<readonly Column<Row>[]>;
  readonly none: string;
  readonly noun: string;
}

/** Prints rows as --format says, while they come. lines: the JSON of each */
export async function printLines<Row>(
  command: Command,
  lines: AsyncIterable<string>,
  { columnsOf, none, noun }: LongList<Row>,
): Promise<void> {
  const format = command.getOptionValue('format') as Format;
  const portions = portionsOf(lines);
  const { value: first = [] } = await portions.next();
  const rows = first.map((line): Row => JSON.parse(line));
  if (first.length < portion || format === 'yaml') {
    for await (const more of portions) rows.push(...more.map((line): Row => JSON.parse(line)));
    await printList(command, await columnsOf(rows, true), rows, none, noun);
    return;
  }
  const columns = await columnsOf(rows, false);
  if (format === 'json') await writeAll(process.stdout, jsonText(first, portions));
  else if (format === 'csv') await writeAll(process.stdout, csvText(columns, rows, portions));
  else await paged(tableText(columns, rows, portions, process.stdout.isTTY ? noun : undefined));
}

async function* portionsOf(lines: AsyncIterable<string>): AsyncGenerator<string[], undefined, void> {
  let some: string[] = [];
  for await (const line of lines) {
    some.push(line);
    if (some.length < portion) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
  return undefined;
}

async function* jsonText(first: readonly string[], more: AsyncIterable<string[]>): AsyncGenerator<string> {
  yield `[${first.join(',')}`;
  for await (const lines of more) yield `,${lines.join(',')}`;
  yield ']\n';
}

async function* csvText<Row>(
  columns: readonly Column<Row>[],
  first: readonly Row[],
  more: AsyncIterable<string[]>,
): AsyncGenerator<string> {
  for await (const rows of rowsOf(first, more))
    yield `${csv(rows.map((row) => columns.map(({ value }) => value(row))))}\n`;
}

async function* tableText<Row>(
  columns: readonly Column<Row>[],
  first: readonly Row[],
  more: AsyncIterable<string[]>,
  noun: string | undefined,
): AsyncGenerator<string> {
  const { heading, lines } = tableOf(columns, first, terminalWidth());
  let count = 0;
  yield `${heading}\n`;
  for await (const rows of rowsOf(first, more)) {
    count += rows.length;
    yield `${lines(rows).join('\n')}\n`;
  }
  if (noun !== undefined) yield `\n${count} ${noun}\n`;
}

async function* rowsOf<Row>(first: readonly Row[], more: AsyncIterable<string[]>): AsyncGenerator<readonly Row[]> {
  yield first;
  for await (const lines of more) yield lines.map((line): Row => JSON.parse(line));
}

/** On a terminal through the pager, where there is one. */
async function paged(text: AsyncIterable<string>): Promise<void> {
  const pager = pagerCommand();
  const [program = ''] = pager.trim().split(/\s+/);
  const exists = spawnSync('sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' }).status === 0;
  if (!process.stdout.isTTY || !exists) return writeAll(process.stdout, text);
  const child = spawn('sh', ['-c', pager], { env: pagerEnvironment(), stdio: ['pipe', 'inherit', 'inherit'] });
  const exit = once(child, 'exit');
  await writeAll(child.stdin, text);
  child.stdin.end();
  await exit;
}

/** A reader that has seen enough ends it. */
async function writeAll(output: Writable, text: AsyncIterable<string>): Promise<void> {
  let gone = false;
  const leave = (): void => {
    gone = true;
  };
  output.on('error', leave);
  for await (const some of text) {
    await new Promise<void>((resolve) => output.write(some, () => resolve()));
    if (gone) break;
  }
  output.off('error', leave);
}

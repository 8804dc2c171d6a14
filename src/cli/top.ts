import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import type { HostClient } from '../client/host-client.js';
import { OptionError } from '../config/options.js';
import { fitted } from '../text/width.js';
import { formatOption, print, printList } from './output.js';
import { type Column, table, terminalWidth } from './table.js';
import { differenceOf, type Figures, figuresOf, type InstanceFigures } from './top-figures.js';
import { withHost } from './with-client.js';

interface TopOptions {
  readonly interval: number;
  readonly count?: number;
  readonly format: string;
}

const none = 'No instance runs; "devlxd start NAME --pid PID" says that one does.';
const home = '\x1b[H';
const clearBelow = '\x1b[J';
const clearLine = '\x1b[K';
const [enter, leave] = ['\x1b[?1049h\x1b[?25l', '\x1b[?25h\x1b[?1049l'];
/** above the table: the totals and an empty line; below it: the cursor's */
const otherLines = 4;

/** devlxd top */
export function addTop(program: Command): void {
  const command = program
    .command('top')
    .description('show what the guests of each running instance do, the busiest first')
    .option('--interval <seconds>', 'between two looks', secondsOf, 2)
    .option('--count <number>', 'end after this many looks; one when this is no terminal', countOf)
    .addOption(formatOption())
    .addHelpText(
      'after',
      `
On a terminal it is refreshed in place until Ctrl-C. LIMIT HITS counts how often the instance reached a limit: the log
names the limits, docs/limits.md says what each of them does.

Examples:
  devlxd top
  devlxd top --count 2 --interval 10 | tail -n +3     of ten seconds
  devlxd top --format json`,
    );
  command.action((options: TopOptions) =>
    withHost(command, async (client) => {
      const { isTTY } = process.stdout;
      if (isTTY && options.format === 'table') await watch(client, options);
      else await follow(command, client, options);
    }),
  );
}

/** One look after the other, each below the one before. */
async function follow(
  command: Command,
  client: HostClient,
  { interval, count = 1, format }: TopOptions,
): Promise<void> {
  let before: Figures | undefined;
  for (let look = 1; look <= count; look++) {
    if (look > 1) await pause(interval * 1000);
    const figures = await figuresNow(client);
    const { totals, instances } = differenceOf(before, figures);
    if (format === 'table') print(`${totals}\n`);
    await printList(command, columnsOf(instances), instances, none);
    before = figures;
  }
}

/** The same in place, until Ctrl-C. */
async function watch(client: HostClient, { interval, count = Number.POSITIVE_INFINITY }: TopOptions): Promise<void> {
  const { stdout } = process;
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort());
  stdout.write(enter);
  try {
    let before: Figures | undefined;
    for (let look = 1; look <= count && !ended.signal.aborted; look++) {
      const figures = await figuresNow(client);
      stdout.write(screenOf(differenceOf(before, figures), stdout.rows || 24));
      before = figures;
      if (look < count) await pause(interval * 1000, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  } finally {
    stdout.write(leave);
  }
}

async function figuresNow(client: HostClient): Promise<Figures> {
  return figuresOf(await client.metrics({ perInstance: true }), Date.now());
}

function screenOf({ totals, instances }: ReturnType<typeof differenceOf>, height: number): string {
  const shown = instances.slice(0, Math.max(1, height - otherLines));
  const text = shown.length === 0 ? none : table(columnsOf(instances), shown, terminalWidth());
  const lines = [fitted(totals, terminalWidth()), '', ...text.split('\n')];
  return `${home}${lines.map((line) => `${line}${clearLine}`).join('\n')}\n${clearBelow}`;
}

const perSecond: Column<InstanceFigures> = {
  heading: 'REQ/S',
  value: ({ rate }) => (rate === undefined ? '' : rate.toFixed(1)),
};

/** A column for each figure that the daemon gives. */
function columnsOf(instances: readonly InstanceFigures[]): Column<InstanceFigures>[] {
  const names = new Set(instances.flatMap(({ values }) => Object.keys(values)));
  return [
    {
      heading: 'INSTANCE',
      value: ({ instance, project }) => (project === 'default' ? instance : `${project}/${instance}`),
    },
    perSecond,
    ...[...names].map((name) => ({
      heading: name.toUpperCase(),
      value: ({ values }: InstanceFigures) => String(values[name] ?? ''),
    })),
  ];
}

function secondsOf(text: string): number {
  if (!/^\d{1,6}(\.\d+)?$/.test(text) || Number(text) < 0.1)
    throw new OptionError(`--interval takes seconds, at least 0.1, not "${text}".`);
  return Number(text);
}

function countOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new OptionError(`--count takes a whole number from 1 on, not "${text}".`);
  return Number(text);
}

// npm run soak: honest and hostile guests, while the daemon is ended again and again.
import { parseArgs } from 'node:util';
import { type PartResult, parts, soak } from './soak.js';
import { sumsOf } from './sums.js';

const { values } = parseArgs({
  options: {
    guests: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '60' },
    every: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    'max-memory': { type: 'string', default: '250' },
    'max-log': { type: 'string', default: '1024' },
    'max-disk': { type: 'string', default: '10' },
    'max-gap': { type: 'string', default: '250' },
    'max-p99': { type: 'string', default: '2' },
    'host-user': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** So many times slower may honest guests be served beside hostile ones; the two cores are theirs as well. */
const slowest = 10;
/** kB that a daemon may have grown: what its allocators keep of what was given back. */
const growth = 64 * 1024;

function print(text: string): void {
  if (!values.json) process.stdout.write(`${text}\n`);
}

function show({
  name,
  latency: { median, p99, worstMedian },
  writes,
  hostile,
  figures,
  before,
  after,
  answered,
  interrupted,
  ends,
}: PartResult): void {
  print(
    `${name}: ${answered} right answers, ${interrupted} interrupted by a kill and asked again; ` +
      `${ends.kill} kills, ${ends.restart} restarts, ${ends.takeover} takeovers`,
  );
  print(
    `  writes: ${writes.changes} changes, ${writes.renames} renames, ${writes.restarts} restarts; ${writes.repeated} repeated`,
  );
  if (Object.keys(hostile).length > 0) print(`  hostile: ${JSON.stringify(hostile)}`);
  print(
    `  latency: median ${median.toFixed(2)} ms, 99 % ${p99.toFixed(1)} ms, median of the guest served worst ${worstMedian.toFixed(1)} ms`,
  );
  const { memoryMegabytes, logBytesPerMinute, diskBytesPerMinute, gapMilliseconds, loudest, surprises } = figures;
  print(
    `  at most: memory ${memoryMegabytes} MB, longest gap of the event loop ${gapMilliseconds} ms; a minute: log ${(logBytesPerMinute / 1024).toFixed(0)} kB, disk ${(diskBytesPerMinute / 2 ** 20).toFixed(1)} MB`,
  );
  print(`  most of the log, bytes a minute: ${JSON.stringify(loudest)}`);
  for (const line of surprises) print(`  surprise: ${line}`);
  print(`  descriptors ${before.descriptors} -> ${after.descriptors}, memory ${before.memory} -> ${after.memory} kB`);
}

/** What hostile guests took, and the bound of it. The disk is written for operators as well: without them it is the base. */
function boundsOf(alone: PartResult, beside: PartResult): readonly [what: string, value: number, bound: number][] {
  const { memoryMegabytes, logBytesPerMinute, diskBytesPerMinute, gapMilliseconds } = beside.figures;
  const disk = Math.max(0, diskBytesPerMinute - alone.figures.diskBytesPerMinute) / 2 ** 20;
  return [
    [
      'times that the p99 of honest guests is longer beside hostile ones',
      beside.latency.p99 / alone.latency.p99,
      Number(values['max-p99']),
    ],
    ['times that their median is longer', beside.latency.median / alone.latency.median, slowest],
    ['ms, longest gap of the event loop', gapMilliseconds, Number(values['max-gap'])],
    ['MB of memory', memoryMegabytes, Number(values['max-memory'])],
    ['kB of log a minute', logBytesPerMinute / 1024, Number(values['max-log'])],
    ['MB of disk a minute, beyond that of the first part', disk, Number(values['max-disk'])],
  ];
}

/** What was taken beyond the first part, beside what the limits allow. */
function sumsBeside(alone: PartResult, beside: PartResult): ReturnType<typeof boundsOf> {
  const sums = sumsOf(Object.keys(beside.hostile).length);
  const [taken, base] = [beside.figures, alone.figures];
  return [
    ['MB of memory more, of the sum of the limits', taken.memoryMegabytes - base.memoryMegabytes, sums.memoryMegabytes],
    ['descriptors more, of the sum', taken.descriptors - base.descriptors, sums.descriptors],
    ['kB of log a minute by guests, of the sum', taken.guestLogBytesPerMinute / 1024, sums.logBytesPerMinute / 1024],
    [
      'kB of disk a minute more, of the sum',
      (taken.diskBytesPerMinute - base.diskBytesPerMinute) / 1024,
      sums.diskBytesPerMinute / 1024,
    ],
  ];
}

/** Prints each bound and whether it is met. @returns the ones that are not */
function judge(bounds: ReturnType<typeof boundsOf>): string[] {
  const problems: string[] = [];
  for (const [what, value, bound] of bounds) {
    const met = bound === 0 || value <= bound;
    print(
      `${met ? 'met    ' : 'NOT MET'}  ${value.toFixed(1)} ${what} (at most ${bound === 0 ? 'any' : Math.round(bound)})`,
    );
    if (!met) problems.push(`${value.toFixed(1)} ${what}, not ${bound}`);
  }
  return problems;
}

async function run(): Promise<void> {
  const [guests, seconds, every, seed] = [values.guests, values.seconds, values.every, values.seed].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  print(
    `soak: ${guests} guests, ${parts.length} parts of ${seconds} s, the daemon ended every ${every} s, seed ${seed}`,
  );
  const progress = (part: string, answered: number): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${part}: ${answered} answers`);
  };
  const results: PartResult[] = [];
  for (const part of parts) {
    results.push(await soak(part, { guests, seconds, every, seed, progress, hostUser: values['host-user'] }));
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    show(results.at(-1) as PartResult);
  }
  const [alone, beside] = results as [PartResult, PartResult];
  print('met      0 exits, 0 refused, 0 lost, 0 wrong'); // one of them would have ended it
  const bounds = [...boundsOf(alone, beside), ...sumsBeside(alone, beside)];
  const problems = [
    ...judge(bounds),
    ...results
      .filter(({ before, after }) => after.memory > before.memory + growth)
      .map(({ name }) => `memory grew: ${name}`),
  ];
  print(
    problems.length === 0
      ? 'soak: nothing was lost, wrong or refused, and every bound is met'
      : `soak: ${problems.join('; ')}`,
  );
  if (values.json) process.stdout.write(`${JSON.stringify({ seed, results, bounds, problems })}\n`);
  if (problems.length > 0) process.exitCode = 1;
}

if (values.help) {
  process.stdout.write(`Guests that do what cloud-init does, changed, renamed, restarted and killed at random, beside hostile ones, while the
daemon is killed with -9, restarted and taken over. Whatever is lost, wrong or refused ends it with exit code 1.

  --guests N    honest ones (2000)
  --seconds S   of each of the ${parts.length} parts (60)
  --every S     the daemon is ended (3)
  --seed N      of what is done at random
  --max-memory MB, --max-log kB, --max-disk MB, --max-gap ms, --max-p99 TIMES
                what the daemon may take beside hostile guests; log and disk a minute (250, 1024, 10, 250, 2); 0: any
  --host-user   an ordinary user of the host attacks as well
  --json        the result for programs

Examples:
  npm run soak
  npm run soak -- --guests 100 --seconds 10
`);
} else {
  await run().catch((error: Error) => {
    process.stderr.write(`soak: ${error.message}\n`);
    process.exitCode = 1;
  });
}

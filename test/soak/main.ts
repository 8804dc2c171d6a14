// npm run soak: honest and hostile guests, while the daemon is ended again and again.
import { parseArgs } from 'node:util';
import { type PartResult, parts, soak } from './soak.js';

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
  const { memoryMegabytes, logBytesPerMinute, diskBytesPerMinute, gapMilliseconds } = figures;
  print(
    `  at most: memory ${memoryMegabytes} MB, longest gap of the event loop ${gapMilliseconds} ms; a minute: log ${(logBytesPerMinute / 1024).toFixed(0)} kB, disk ${(diskBytesPerMinute / 2 ** 20).toFixed(1)} MB`,
  );
  print(`  descriptors ${before.descriptors} -> ${after.descriptors}, memory ${before.memory} -> ${after.memory} kB`);
}

/** What hostile guests took beyond the bounds. The disk is written for operators as well: without them it is the base. */
function beyondBounds(alone: PartResult, beside: PartResult): string[] {
  const { memoryMegabytes, logBytesPerMinute, diskBytesPerMinute, gapMilliseconds } = beside.figures;
  const disk = Math.max(0, diskBytesPerMinute - alone.figures.diskBytesPerMinute) / 2 ** 20;
  const taken: readonly [string, number, string][] = [
    ['memory (MB)', memoryMegabytes, values['max-memory']],
    ['log a minute (kB)', logBytesPerMinute / 1024, values['max-log']],
    ['disk a minute, beyond that of honest guests (MB)', disk, values['max-disk']],
    ['longest gap of the event loop (ms)', gapMilliseconds, values['max-gap']],
  ];
  for (const [what, value, bound] of taken)
    print(
      `${Number(bound) === 0 || value <= Number(bound) ? 'pass' : 'FAIL'}  ${what}: ${value.toFixed(1)}, bound ${bound}`,
    );
  return taken
    .filter(([, value, bound]) => Number(bound) !== 0 && value > Number(bound))
    .map(([what, value, bound]) => `${what} was ${value.toFixed(1)}, not below ${bound}`);
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
  const ratio = beside.latency.median / alone.latency.median;
  const problems = [
    ...beyondBounds(alone, beside),
    ...(ratio > slowest ? [`honest guests were served ${ratio.toFixed(1)} times slower`] : []),
    ...results
      .filter(({ before, after }) => after.memory > before.memory + growth)
      .map(({ name }) => `memory grew: ${name}`),
  ];
  print(`beside hostile guests, the median is ${ratio.toFixed(2)} times that without (bound: ${slowest})`);
  print(problems.length === 0 ? 'soak: nothing was lost, wrong or refused' : `soak: ${problems.join('; ')}`);
  if (values.json) process.stdout.write(`${JSON.stringify({ seed, results, ratio, problems })}\n`);
  if (problems.length > 0) process.exitCode = 1;
}

if (values.help) {
  process.stdout.write(`Guests that do what cloud-init does, changed, renamed, restarted and killed at random, beside hostile ones, while the
daemon is killed with -9, restarted and taken over. Whatever is lost, wrong or refused ends it with exit code 1.

  --guests N    honest ones (2000)
  --seconds S   of each of the ${parts.length} parts (60)
  --every S     the daemon is ended (3)
  --seed N      of what is done at random
  --max-memory MB, --max-log kB, --max-disk MB, --max-gap ms
                what the daemon may take beside hostile guests; log and disk a minute (250, 1024, 10, 250); 0: any
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

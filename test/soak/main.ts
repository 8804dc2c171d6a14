// npm run soak: honest guests, and hostile ones of all kinds in turn, while the daemon is ended again and again.
import { parseArgs } from 'node:util';
import { type Bound, boundsOf, kindsOf, medianOf, p99Of, sidesOf } from './report.js';
import { type Phase, type SoakResult, soak } from './soak.js';

const { values } = parseArgs({
  options: {
    guests: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '60' },
    every: { type: 'string', default: '5' },
    'at-once': { type: 'string', default: '6' },
    kinds: { type: 'string' },
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

function print(text: string): void {
  if (!values.json) process.stdout.write(`${text}\n`);
}

const ms = (milliseconds: number): string => `${milliseconds.toFixed(1)} ms`;

function showPhase({ kinds, way, latencies, figures }: Phase): void {
  const { cpuSeconds, seconds, gapMilliseconds, memoryMegabytes } = figures;
  print(
    `${way.padEnd(8)} ${String(latencies.length).padStart(6)} answers, median ${ms(medianOf(latencies))}, ` +
      `99 % ${ms(p99Of(latencies))}; longest turn ${gapMilliseconds} ms, ${memoryMegabytes} MB, ` +
      `${((100 * cpuSeconds) / seconds).toFixed(0)} % of a processor${kinds.length > 0 ? `: ${kinds.join(', ')}` : ''}`,
  );
}

function show(result: SoakResult): void {
  const { answered, interrupted, writes, before, after } = result;
  print(`${answered} right answers, ${interrupted} interrupted by a kill and asked again`);
  print(
    `writes: ${writes.changes} changes, ${writes.renames} renames, ${writes.restarts} restarts; ${writes.repeated} repeated`,
  );
  for (const [n, side] of sidesOf(result).entries()) {
    print(
      `${n === 0 ? 'without' : 'beside '} hostile guests: median ${ms(side.median)}, 99 % ${ms(side.p99)}, ` +
        `${side.memoryMegabytes} MB, longest turn ${side.gapMilliseconds} ms; ` +
        `a minute: log ${(side.logBytes / 1024).toFixed(0)} kB, disk ${(side.diskBytes / 2 ** 20).toFixed(1)} MB`,
    );
  }
  print('in whose phases honest guests were served worst:');
  for (const { name, p99, median, gapMilliseconds, cpu, memoryMegabytes, disk } of kindsOf(result)) {
    print(
      `  ${name.padEnd(24)} median ${ms(median).padStart(8)}, 99 % ${ms(p99).padStart(9)}, longest turn ` +
        `${String(gapMilliseconds).padStart(4)} ms, ${memoryMegabytes} MB, ${(100 * cpu).toFixed(0)} % of a processor, ` +
        `${disk.toFixed(1)} MB of disk a minute`,
    );
  }
  print(`most of the log, bytes: ${JSON.stringify(Object.fromEntries(result.loudest))}`);
  for (const line of result.surprises.slice(0, 5)) print(`surprise: ${line}`);
  print(`descriptors ${before.descriptors} -> ${after.descriptors}, memory ${before.memory} -> ${after.memory} kB`);
}

/** Prints each bound and whether it is met. @returns the ones that are not */
function judge(bounds: readonly Bound[]): string[] {
  print('met      0 exits, 0 refused, 0 lost, 0 wrong'); // one of them would have ended it
  const problems: string[] = [];
  for (const { what, value, most } of bounds) {
    const met = most === 0 || value <= most;
    print(
      `${met ? 'met    ' : 'NOT MET'}  ${value.toFixed(1)} ${what} (at most ${most === 0 ? 'any' : Math.round(most)})`,
    );
    if (!met) problems.push(`${value.toFixed(1)} ${what}, not ${most}`);
  }
  return problems;
}

async function run(): Promise<void> {
  const number = (name: 'guests' | 'seconds' | 'every' | 'at-once' | 'seed'): number => Number(values[name]);
  const most = (name: 'p99' | 'gap' | 'memory' | 'log' | 'disk'): number => Number(values[`max-${name}`]);
  const [guests, seconds, every, atOnce, seed] = [
    number('guests'),
    number('seconds'),
    number('every'),
    number('at-once'),
    number('seed'),
  ];
  print(
    `soak: ${guests} guests, ${seconds} s, half of them beside ${atOnce} hostile kinds at a time; each ${every} s the daemon is ended; seed ${seed}`,
  );
  const kinds = values.kinds?.split(',');
  const hostUser = values['host-user'];
  const result = await soak({ guests, seconds, every, atOnce, seed, kinds, hostUser, progress: showPhase });
  show(result);
  const bounds = boundsOf(result, {
    p99: most('p99'),
    gap: most('gap'),
    memory: most('memory'),
    log: most('log'),
    disk: most('disk'),
  });
  const problems = judge(bounds);
  print(
    problems.length === 0
      ? 'soak: nothing was lost, wrong or refused, and every bound is met'
      : `soak: ${problems.join('; ')}`,
  );
  if (values.json) {
    const [alone, beside] = sidesOf(result);
    process.stdout.write(`${JSON.stringify({ seed, alone, beside, kinds: kindsOf(result), bounds, problems })}\n`);
  }
  if (problems.length > 0) process.exitCode = 1;
}

if (values.help) {
  process.stdout.write(`Guests that do what cloud-init does, changed, renamed, restarted and killed at random, and every other phase beside
some hostile kinds, each kind in its turn, while the daemon is killed with -9, restarted and taken over. Whatever is
lost, wrong or refused ends it with exit code 1. Hostile processes run when nobody else wants the processor (SCHED_IDLE).

  --guests N    honest ones (2000)
  --seconds S   in all; longer, until each hostile kind has attacked (60)
  --every S     of a phase; the daemon is ended in each (5)
  --at-once N   hostile kinds that attack together (6)
  --kinds A,B   only these; --at-once 1 tells what each does
  --seed N      of what is done at random
  --max-memory MB, --max-log kB, --max-disk MB, --max-gap ms, --max-p99 TIMES
                what the daemon may take beside hostile guests; log and disk a minute (250, 1024, 10, 250, 2); 0: any
  --host-user   a user of the host attacks as well
  --json        the result for programs

Examples:
  npm run soak
  npm run soak -- --guests 100 --seconds 10 --every 1
  npm run soak -- --kinds one-byte-chunks,unread-pongs --at-once 1
`);
} else {
  await run().catch((error: Error) => {
    process.stderr.write(`soak: ${error.message}\n`);
    process.exitCode = 1;
  });
}

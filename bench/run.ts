// npm run bench: measures devlxd against its peers. A trial that fails makes the exit code 1; a goal that is not met
// does not.
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { askForAnswer } from './answer.js';
import { comparisonLines, type Report, readReport } from './compare.js';
import { devlxd } from './daemon.js';
import { lxdTrials } from './lxd.js';
import { describeMachine, findPins, unpinned } from './machine.js';
import { runTrial, type TrialResult } from './measure.js';
import { machineLine, planLine, trialLines } from './print.js';
import { writeReport } from './report/write.js';
import type { Bench, Plan, Running, Trial } from './trial.js';
import { trials, withSide } from './trials.js';
import { machineTrials } from './vm.js';
import { Workplace } from './workplace.js';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly seconds?: number;
  readonly json?: string;
  readonly compare?: string;
  readonly report?: string;
  readonly from?: string;
  readonly lxd?: string;
  readonly vm?: boolean;
  readonly beside?: string;
}

const fullPlan: Plan = { rounds: 5, seconds: 3, warmup: 1, scale: 1 };
const quickPlan: Plan = { rounds: 2, seconds: 0.25, warmup: 0.1, scale: 0.1 };

const program = new Command('npm run bench --')
  .argument(
    '[name...]',
    `trials to run: ${[...trials, ...machineTrials(false)].map(({ name }) => name).join(', ')} (all)`,
  )
  .option('--quick', 'fewer and shorter rounds: to see whether it works, not for figures')
  .option('--rounds <n>', `how often each side has its turn (${fullPlan.rounds})`, positive)
  .option('--seconds <s>', `of one load, after a third of it as warm-up (${fullPlan.seconds})`, positive)
  .option('--json <file>', 'write everything that was measured to this file')
  .option('--compare <file>', 'show each trial beside that of an earlier run, from its --json')
  .option('--report <directory>', 'write report.html, with plots, and report.md')
  .option('--from <file>', 'measure nothing: make the report of an earlier run, from its --json')
  .option('--lxd <container>', 'measure the real LXD as well, from inside this running container of it')
  .option('--vm', 'measure the trials of virtual machines inside one as well, which boots under QEMU without KVM')
  .option(
    '--beside <directory>',
    'measure devlxd of this other checkout, built, as well: in connect, keepalive-* and javascript',
  )
  .addHelpText(
    'after',
    `
Examples:
  npm run bench
  npm run bench -- connect --quick
  npm run bench -- keepalive-64 connect --json base.json
  npm run bench -- keepalive-64 connect --compare base.json
  npm run bench -- --json run.json --report report
  npm run bench -- vm-connect vm-keepalive-8 --vm
  npm run bench -- keepalive-64 connect --beside ../devlxd-before
  npm run bench -- --from run.json --report report`,
  )
  .action(run);
// Whatever ends this process, its exit handlers end its children and remove its directory.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
await program.parseAsync();

async function run(names: string[], options: Options): Promise<void> {
  const { json, compare, report, from, lxd, vm, beside } = options;
  if (from !== undefined) {
    writeReport(report ?? '.', earlierRun('--from', from));
    return;
  }
  const chosen = choose(names, [...withSide(beside), ...machineTrials(vm === true), ...withLxd(lxd)]);
  const base = compare === undefined ? undefined : earlierRun('--compare', compare);
  const plan = planOf(options);
  const pins = findPins();
  const machine = describeMachine(pins);
  process.stdout.write(`${machineLine(machine)}\n${planLine(plan)}\n`);
  const workplace = new Workplace();
  const results: TrialResult[] = [];
  const answer = await askForAnswer({ plan, pins, workplace }, devlxd());
  for (const trial of chosen) {
    const result = await runOne(trial, { plan, pins: trial.unpinned ? unpinned : pins, workplace, answer });
    results.push(result);
    if (base !== undefined) process.stdout.write(comparisonLines(result, base));
  }
  const measured = { machine, plan, trials: results };
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(measured, null, 2)}\n`);
  if (report !== undefined) writeReport(report, measured);
  const failed = results.filter(({ faults }) => faults.length > 0).map(({ name }) => name);
  if (failed.length === 0) return;
  process.stderr.write(`Failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}

function planOf({ quick, rounds, seconds }: Options): Plan {
  const plan = quick ? quickPlan : fullPlan;
  const loads = seconds === undefined ? {} : { seconds, warmup: seconds / 3 };
  return { ...plan, ...(rounds === undefined ? {} : { rounds }), ...loads };
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new InvalidArgumentError('It is a number above 0.');
  return number;
}

async function runOne(trial: Trial<Running>, bench: Bench): Promise<TrialResult> {
  const result = await runTrial(trial, bench, showProgress);
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  process.stdout.write(trialLines(result));
  return result;
}

function showProgress(trial: string, side: string, round: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${trial}: round ${round}, ${side}`);
}

function withLxd(container: string | undefined): readonly Trial[] {
  if (container === undefined) {
    process.stdout.write('skipped: the real LXD (--lxd CONTAINER, a running container of it, measures it as well)\n');
    return [];
  }
  try {
    return lxdTrials(container);
  } catch (error) {
    return program.error(`--lxd: ${(error as Error).message}`, { exitCode: 2 });
  }
}

function earlierRun(option: string, file: string): Report {
  try {
    return readReport(file);
  } catch (error) {
    return program.error(`${option}: ${(error as Error).message}`, { exitCode: 2 });
  }
}

function choose(names: readonly string[], all: readonly Trial<Running>[]): readonly Trial<Running>[] {
  const unknown = names.find((name) => !all.some((trial) => trial.name === name));
  if (unknown !== undefined) {
    program.error(`There is no trial "${unknown}"; there are ${all.map(({ name }) => name).join(', ')}.`, {
      exitCode: 2,
    });
  }
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

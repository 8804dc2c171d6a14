// npm run bench:operators: one table of what an operator's work costs guests, and what an operator waits for itself, with
// 10,000 and with 100,000 instances, from one daemon for each. A goal that is not met does not change the exit code.
import { Command } from 'commander';
import { askForAnswer } from './answer.js';
import { devlxd } from './daemon.js';
import { describeMachine, findPins, unpinned } from './machine.js';
import { costsOf, costsText, type OperatorCosts } from './operator-costs.js';
import { machineLine } from './print.js';
import type { Plan } from './trial.js';
import { Workplace } from './workplace.js';

const { quick, seconds, pinned } = new Command('npm run bench:operators --')
  .option('--quick', 'a hundredth of the instances, for moments: to see whether it works, not for figures')
  .option('--pinned', 'the daemon on one core and all else on another; else the kernel places them, as on any host')
  .option('--seconds <s>', 'for which a guest asks beside each kind of work', Number, 5)
  .parse()
  .opts<{ quick?: boolean; seconds: number; pinned?: boolean }>();
// Whatever ends this process, its exit handlers end its children and remove its directory.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const plan: Plan = quick
  ? { rounds: 1, seconds: 0.3, warmup: 0, scale: 0.01 }
  : { rounds: 1, seconds, warmup: 0, scale: 1 };
const setting = { plan, pins: pinned ? findPins() : unpinned, workplace: new Workplace() };
process.stdout.write(`${machineLine(describeMachine(setting.pins))}\n`);
const bench = { ...setting, answer: await askForAnswer(setting, devlxd()) };
const sizes: OperatorCosts[] = [];
for (const size of [10_000, 100_000])
  sizes.push(await costsOf(bench, size, (step) => process.stderr.write(`${size}: ${step}\n`)));
process.stdout.write(costsText(sizes));
if (sizes.some(({ faults }) => faults.length > 0)) process.exitCode = 1;

// npm run soak:restarts: two hundred guests ask all the while, through restarts and takeovers.
import { parseArgs } from 'node:util';
import { Askers } from '../support/askers.js';
import { TestDaemon } from '../support/daemon.js';
import { Guests } from '../support/guest-processes.js';
import { ManagedDaemon } from '../support/managed-daemon.js';

const { values } = parseArgs({
  options: {
    guests: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '10' },
    help: { type: 'boolean', default: false },
  },
});

/** A daemon, how to replace it, and how to be rid of it. */
interface Replaced {
  readonly daemon: TestDaemon;
  again(): Promise<unknown>;
  remove(): Promise<unknown>;
}

async function managed(): Promise<Replaced> {
  const made = await ManagedDaemon.start();
  return { daemon: made.daemon, again: () => made.again('restart'), remove: () => made.remove() };
}

async function takenOver(): Promise<Replaced> {
  const daemon = await TestDaemon.start();
  return { daemon, again: () => daemon.takeOver(), remove: () => daemon.remove() };
}

async function trial(what: string, start: () => Promise<Replaced>, count: number, rounds: number): Promise<void> {
  const replaced = await start();
  const guests = new Guests();
  try {
    const askers = await Askers.start(replaced.daemon, guests, count);
    for (let round = 0; round < rounds; round++) {
      await replaced.again();
      await askers.more(5 * count);
    }
    const answered = await askers.end();
    const { failures } = askers;
    process.stdout.write(
      `${what}: ${count} guests, ${rounds} times, ${answered} answers, ${failures.length} failures\n`,
    );
    for (const failure of failures.slice(0, 10)) process.stdout.write(`  ${failure}\n`);
    if (failures.length > 0) process.exitCode = 1;
  } finally {
    await guests.close();
    await replaced.remove();
  }
}

if (values.help) {
  process.stdout.write(`Guests that ask, half of them on connections that they keep, while the daemon is replaced.

  --guests N    (200)
  --rounds N    how often it is replaced, each way (10)

Example:
  npm run soak:restarts -- --guests 50 --rounds 3
`);
} else {
  const [count, rounds] = [Number(values.guests), Number(values.rounds)];
  await trial('restart by a service manager', managed, count, rounds);
  await trial('takeover', takenOver, count, rounds);
}

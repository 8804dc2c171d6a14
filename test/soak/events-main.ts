// npm run soak:events: a thousand listeners, a hundred changes each.
import { parseArgs } from 'node:util';
import { eventsAtScale } from './events.js';

const { values } = parseArgs({
  options: {
    guests: { type: 'string', default: '1000' },
    changes: { type: 'string', default: '100' },
    kills: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(`Guests that listen for changes, leave, and come back where they left off.

  --guests N    (1000)
  --changes N   of each (100)
  --kills N     how often the daemon is killed with -9 meanwhile (2)
  --seed N      of what is done at random

Examples:
  npm run soak:events
  npm run soak:events -- --guests 100 --kills 10
`);
} else {
  const [guests, changes, kills, seed] = [values.guests, values.changes, values.kills, values.seed].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  process.stdout.write(`soak: ${guests} guests, ${changes} changes each, ${kills} kills, seed ${seed}\n`);
  const show = (changed: number): void => {
    if (process.stderr.isTTY && changed % 1000 === 0) process.stderr.write(`\r${changed} of ${guests * changes}`);
  };
  const began = performance.now();
  const { events, reconnects, repeated } = await eventsAtScale({ guests, changes, kills, seed, progress: show });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  process.stdout.write(
    `soak: ${events} events heard once each, in order, over ${reconnects} reconnects, in ${seconds} s; ` +
      `${repeated} requests were repeated because the daemon was dead\n`,
  );
}

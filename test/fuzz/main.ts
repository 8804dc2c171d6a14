// npm run fuzz: random requests at a daemon of its own, for as long as one likes.
import { parseArgs } from 'node:util';
import { fuzz } from './run.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    streams: { type: 'string', default: '200000' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(`Sends random and mutated requests from several guests to a daemon of its own: each as it is, and then three ways, on a
fresh connection, on one that is kept after another kind of request, and in pieces behind others. Each must be answered
as test/fuzz/model.ts says.

  --streams N   connections in all (200000)
  --seed N      repeats an earlier run; one of its own otherwise, which is printed

Examples:
  npm run fuzz
  npm run fuzz -- --streams 5000 --seed 17
`);
} else {
  const streams = Number(values.streams);
  process.stdout.write(`fuzz: ${streams} streams, seed ${values.seed}\n`);
  const show = (done: number): void => {
    if (process.stderr.isTTY && done % 1000 === 0) process.stderr.write(`\r${done} of ${streams}`);
  };
  const began = performance.now();
  const { answers, bytes, memory } = await fuzz({ seed: Number(values.seed), streams, progress: show });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  process.stdout.write(
    `fuzz: passed in ${seconds} s; ${answers} streams were answered, ${bytes} bytes, ` +
      `memory after a tenth ${memory[0]} kB, at the end ${memory[1]} kB\n`,
  );
}

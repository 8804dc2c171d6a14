import { CommanderError } from 'commander';
import { ApiError, ConnectionError } from '../client/client-errors.js';
import { OptionError } from '../config/options.js';
import { Fault } from '../errors.js';
import { visible } from '../text/width.js';
import { programFor } from './program.js';
import { checkWords } from './words.js';

/** Exit codes: 0 done, 1 it did not work, 2 the command line is wrong. */
const exitCodes = { failed: 1, usage: 2 } as const;

// The reader of the pipe has ended: `devlxd monitor | head`. Else nobody can be shown anything: `devlxd list > full-disk`.
process.stdout.on('error', (error) => {
  if ('code' in error && error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`devlxd: standard output: ${error.message}\n`);
  process.exit(exitCodes.failed);
});
process.stderr.on('error', () => undefined);

try {
  checkWords(process.argv.slice(2));
  const program = await programFor(process.argv.slice(2));
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** One sentence on standard error, and the exit code that goes with it. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
  process.stderr.write(`devlxd: ${sentenceOf(error)}\n`);
  return error instanceof OptionError ? exitCodes.usage : exitCodes.failed;
}

function sentenceOf(error: unknown): string {
  if (error instanceof ConnectionError && ['ENOENT', 'ECONNREFUSED'].includes(error.code))
    return `${visible(error.message)} Start one with "devlxd serve", or name its --run-dir.`;
  if (!(error instanceof Error)) return String(error);
  // What the system refuses says what was tried on which file.
  const expected =
    'syscall' in error || [Fault, OptionError, ApiError, ConnectionError].some((kind) => error instanceof kind);
  return expected ? visible(error.message) : (error.stack ?? error.message);
}

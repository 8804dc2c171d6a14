import { Command, CommanderError, Option } from 'commander';
import { ApiError, ConnectionError } from '../client/errors.js';
import { OptionError, optionDeclarations, variableOf } from '../config.js';
import { Fault } from '../errors.js';
import { version } from '../package-root.js';
import { addCheck } from './check.js';
import { addDelete } from './delete.js';
import { addDemo } from './demo.js';
import { addDevice } from './device.js';
import { addImage } from './image.js';
import { addList } from './list.js';
import { addServe } from './serve.js';
import { addSet, addUnset } from './set.js';
import { addShow } from './show.js';
import { addStart, addStop } from './start.js';

/** Exit codes: 0 done, 1 it did not work, 2 the command line is wrong. */
const exitCodes = { failed: 1, usage: 2 } as const;

const program = new Command('devlxd')
  .description("LXD's guest API as a daemon of its own: each instance reads its own configuration on /dev/lxd/sock")
  .version(version)
  .addOption(
    new Option('--run-dir <dir>', `${optionDeclarations['run-dir'].help} [${variableOf('run-dir')}]`).default(
      process.env[variableOf('run-dir')] ?? optionDeclarations['run-dir'].default,
    ),
  )
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    `
Examples:
  devlxd serve                            run the daemon
  devlxd create web1 user.role=web        describe an instance
  devlxd start web1 --pid 4711            its init runs: guests of it are answered
  devlxd set web1 user.role=db            change a key; the guest gets an event
  devlxd list                             what there is, and what runs`,
  )
  .exitOverride();

addServe(program);
addCheck(program);
addList(program);
addShow(program);
addSet(program);
addUnset(program);
addDevice(program);
addImage(program);
addStart(program);
addStop(program);
addDelete(program);
addDemo(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** One sentence on standard error, and the exit code that goes with it. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
  if ([Fault, OptionError, ApiError, ConnectionError].some((kind) => error instanceof kind)) {
    process.stderr.write(`devlxd: ${(error as Error).message}\n`);
    return error instanceof OptionError ? exitCodes.usage : exitCodes.failed;
  }
  process.stderr.write(`devlxd: ${error instanceof Error ? error.stack : String(error)}\n`);
  return exitCodes.failed;
}

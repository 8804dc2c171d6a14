// Runs commands one after the other as bin/devlxd does, of the same program, in a thread whose modules are loaded once.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { packageRoot } from '../../src/package-root.js';
import type { Ran } from './command.js';

export interface Job {
  readonly words: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly input: string;
  /** where how it ended is told */
  readonly answers: MessagePort;
  /** becomes 1 when that is there */
  readonly done: Int32Array;
}

const program = join(packageRoot, 'dist/program/main.js');
let jobs = 0;
let input = Buffer.alloc(0);

// Standard input is what a command is given: the thread shares that of its process.
const { readSync } = fs;
fs.readSync = ((from: number, into: Buffer, ...more: [number, number, number]) => {
  if (from !== 0) return readSync(from, into, ...more);
  const length = input.copy(into);
  input = input.subarray(length);
  return length;
}) as typeof readSync;
syncBuiltinESMExports();

parentPort?.on('message', async ({ words, environment, input: given, done, answers }: Job) => {
  const told = { stdout: '', stderr: '' };
  let status: number | undefined;
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].removeAllListeners('error');
    process[name].write = (text: string, written?: unknown) => {
      if (status === undefined) told[name] += text;
      if (typeof written === 'function') written();
      return true;
    };
  }
  input = Buffer.from(given);
  process.argv = [process.execPath, program, ...words];
  process.env = environment;
  process.exitCode = undefined;
  process.exit = (code): never => {
    status ??= Number(code ?? process.exitCode ?? 0);
    throw new Error('It has ended.'); // what it says of that is left out
  };
  try {
    await import(`${pathToFileURL(program)}?${++jobs}`);
  } catch (error) {
    process.stderr.write(String(error));
    process.exitCode ??= 1;
  }
  status ??= Number(process.exitCode ?? 0);
  answers.postMessage({ status, ...told } satisfies Ran);
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
});

import { constants, existsSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../errors.js';
import { checkStore } from '../store/stored-file.js';
import { directoryProblem, existing, refusal } from './directory-health.js';
import type { Finding } from './finding.js';

const what = 'store';
const option = '--state-dir';
const leastFreeBytes = 64 * 1024 * 1024;
const { R_OK, W_OK } = constants;

/** What a daemon that this user starts would find in its state directory. Nothing that is stored changes. */
export function storeHealth(stateDir: string): Finding {
  const file = join(stateDir, 'devlxd.db');
  const problem = directoryProblem(stateDir, option) ?? fileProblem(file);
  if (problem !== undefined) return { what, value: file, meaning: problem, state: 'bad' };
  const free = freeBytes(existing(stateDir));
  if (free < leastFreeBytes) {
    const value = `${file}, ${(free / 1024 / 1024).toFixed(0)} MiB free`;
    const meaning = 'changes are refused when the disk is full: free some space, or choose another --state-dir';
    return { what, value, meaning, state: free === 0 ? 'bad' : 'warning' };
  }
  const meaning = existsSync(file) ? 'can be opened, and all of it is right' : 'is made when the daemon starts';
  return { what, value: file, meaning, state: 'ok' };
}

/** The same as the daemon's own sentence, where it is SQLite that fails. */
function fileProblem(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  if (!statSync(file).isFile()) return `${file} is no file: choose another --state-dir`;
  const refused = refusal(file, R_OK | W_OK, option);
  if (refused !== undefined || statSync(file).size === 0) return refused;
  try {
    checkStore(file, { readonly: false });
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.message;
    throw error;
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

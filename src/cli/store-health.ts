import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '../errors.js';
import { checkStore } from '../store/stored-file.js';
import type { Finding } from './finding.js';

const what = 'store';
const leastFreeBytes = 64 * 1024 * 1024;
const { R_OK, W_OK, X_OK } = constants;

/** What a daemon that this user starts would find in its state directory. Nothing that is stored changes. */
export function storeHealth(stateDir: string): Finding {
  const file = join(stateDir, 'devlxd.db');
  const problem = directoryProblem(stateDir) ?? fileProblem(file);
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

function directoryProblem(stateDir: string): string | undefined {
  const directory = existing(stateDir);
  if (!statSync(directory).isDirectory()) return `${directory} is no directory: choose another --state-dir`;
  return refusal(directory, R_OK | W_OK | X_OK);
}

/** The same as the daemon's own sentence, where it is SQLite that fails. */
function fileProblem(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  if (!statSync(file).isFile()) return `${file} is no file: choose another --state-dir`;
  const refused = refusal(file, R_OK | W_OK);
  if (refused !== undefined || statSync(file).size === 0) return refused;
  try {
    checkStore(file, { readonly: false });
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.message;
    throw error;
  }
}

/** Why this user may not do that with it. */
function refusal(path: string, mode: number): string | undefined {
  try {
    accessSync(path, mode);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EROFS') return `the file system of ${path} is read-only: mount it read-write`;
    if (code !== 'EACCES') return `${path} cannot be written (${code}): choose another --state-dir`;
    const { uid, mode: bits } = statSync(path);
    const permissions = (bits & 0o7777).toString(8).padStart(4, '0');
    return `uid ${process.geteuid?.()} may not read and write ${path}, which belongs to uid ${uid} and has the mode ${permissions}: run devlxd as that user, or choose another --state-dir`;
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** The path, or the nearest directory above it that there is. */
function existing(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : existing(dirname(path));
}

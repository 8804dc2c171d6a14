import { existsSync } from 'node:fs';
import { socketPaths } from '../config/paths.js';
import { inPlaceOf } from '../gate/unix-socket.js';
import { directoryProblem } from './directory-health.js';
import type { Finding } from './finding.js';

const what = 'run directory';
const option = '--run-dir';
/** Of sockaddr_un, without the byte that ends it. */
const longestSocketPath = 107;

/** What a daemon that this user starts would find in its run directory. */
export function runDirectoryHealth(runDir: string): Finding {
  const { guest, guestDir, control } = socketPaths(runDir);
  const longest = Math.max(...[guest, control].map((path) => Buffer.byteLength(path)));
  const tooLong = `the paths of its sockets have up to ${longest} bytes, and the kernel takes ${longestSocketPath}: choose a shorter ${option}`;
  const problem =
    longest > longestSocketPath
      ? tooLong
      : (directoryProblem(runDir, option) ?? directoryProblem(guestDir, option) ?? otherFile([guest, control]));
  if (problem !== undefined) return { what, value: runDir, meaning: problem, state: 'bad' };
  const meaning = existsSync(runDir) ? 'sockets can be made in it' : 'is made when the daemon starts';
  return { what, value: runDir, meaning, state: 'ok' };
}

/** A socket that nothing listens on is replaced by a daemon that starts, another file is not. */
function otherFile(paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const other = inPlaceOf(path);
    if (other !== undefined) return `${other}, or choose another ${option}`;
  }
  return undefined;
}

import { lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../errors.js';

/** Which file lies at a path: another one in its place has another value. undefined: none does. */
export type FileId = string | undefined;

export function fileId(path: string): FileId {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : [found.dev, found.ino, found.birthtimeNs].join(':');
}

/** Removes a file unless another one has taken its place. */
export function removeFile(path: string, id: FileId): void {
  if (id !== undefined && fileId(path) === id) rmSync(path, { force: true });
}

/**
 * Says in a run directory which process accepts there, even after the files of its sockets were removed. pid and
 * start time name one process and are never reused, so what a killed daemon has left does no harm.
 */
export class RunDirectoryOwner {
  readonly #path: string;
  readonly #runDir: string;

  constructor(runDir: string) {
    this.#runDir = runDir;
    this.#path = join(runDir, 'devlxd.pid');
  }

  /** @throws Fault socket-in-use, when another process that runs accepts here */
  check(): void {
    const found = this.#read();
    const [pid = ''] = found.split(' ');
    if (found === '' || pid === String(process.pid) || found !== described(pid)) return;
    throw new Fault(
      'socket-in-use',
      `A devlxd (pid ${pid}) uses the --run-dir ${this.#runDir}; stop it, or choose another --run-dir.`,
    );
  }

  claim(): void {
    writeFileSync(this.#path, described(String(process.pid)), { mode: 0o644 });
  }

  release(): void {
    if (this.#read() === described(String(process.pid))) rmSync(this.#path, { force: true });
  }

  #read(): string {
    try {
      return readFileSync(this.#path, 'latin1');
    } catch {
      return '';
    }
  }
}

/** pid and start time of a process; '': there is none */
function described(pid: string): string {
  if (!/^\d+$/.test(pid)) return '';
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [, startTicks] = /^(?:\S+ ){19}(\d+)/.exec(stat.slice(stat.lastIndexOf(')') + 2)) ?? [];
    return `${pid} ${startTicks}`;
  } catch {
    return '';
  }
}

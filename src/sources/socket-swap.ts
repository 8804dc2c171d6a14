import {
  chmodSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import type { GuestDirectory } from './guest-directory.js';

/** In the hidden directory: where ours is bound, the source's own, and what gets another name at once. */
type Name = 'own' | 'theirs' | 'new' | '.';

/**
 * Our socket in the place of the source's, in one guests' directory. Ours is renamed over its name, so that running
 * guests reach us with their next connect and never find none; the daemon's own is kept by a hard link, to be renamed
 * back. Both lie in a directory that guests cannot enter, since it must be on the same mount as theirs.
 */
export class SocketSwap {
  readonly directory: GuestDirectory;
  readonly #hidden: string;
  readonly #sock: string;

  constructor(directory: GuestDirectory) {
    this.directory = directory;
    this.#hidden = directory.at('.devlxd');
    this.#sock = directory.at('sock');
  }

  /** Before ours is bound: makes room for it, also after a process that was killed. */
  prepare(): void {
    this.restore();
    if (!isDirectory(this.#hidden)) mkdirSync(this.#hidden);
    this.#inside((inside) => chmodSync(inside('.'), 0o700));
  }

  /** Binds ours, by the path under which bind is to do it. */
  bind(bindAt: (path: string) => number): number {
    return this.#inside((inside) => bindAt(inside('own')));
  }

  /** Is ours still where it was bound? */
  get isBound(): boolean {
    return this.#own() !== undefined;
  }

  /** Is there no socket of that name? */
  get isGone(): boolean {
    return inodeOf(this.#sock) === undefined;
  }

  /** Do guests reach us? */
  get isTaken(): boolean {
    const own = this.#own();
    return own !== undefined && inodeOf(this.#sock) === own;
  }

  /** Has the source's daemon bound its own here? */
  get hasTheirs(): boolean {
    const there = socketIn(this.#sock);
    if (there !== undefined && there !== this.#own()) return true;
    return isDirectory(this.#hidden) && this.#inside((inside) => socketIn(inside('theirs'))) !== undefined;
  }

  /** Guests reach us from here on. */
  take(): void {
    this.#inside((inside) => {
      const there = inodeOf(this.#sock);
      if (there === socketIn(inside('own'))) return;
      if (there !== undefined) link(this.#sock, inside('theirs'), inside('new'));
      link(inside('own'), this.#sock, inside('new'));
    });
  }

  /** Guests reach the source's daemon again, if it still runs, and nothing of ours is left. */
  restore(): void {
    if (!isDirectory(this.#hidden)) {
      remove(this.#hidden);
      return;
    }
    this.#inside((inside) => {
      const own = socketIn(inside('own'));
      if (own !== undefined && inodeOf(this.#sock) === own) {
        if (inodeOf(inside('theirs')) === undefined) unlinkSync(this.#sock);
        else renameSync(inside('theirs'), this.#sock);
      }
      for (const name of ['own', 'theirs', 'new'] as const) remove(inside(name));
    });
    // Other entries in the directory are not ours to remove.
    expecting('ENOTEMPTY', () => rmdirSync(this.#hidden));
  }

  #own(): bigint | undefined {
    return isDirectory(this.#hidden) ? this.#inside((inside) => socketIn(inside('own'))) : undefined;
  }

  /**
   * The names in the hidden directory, by a descriptor of it: root of a privileged guest can put something else in its
   * place at any time, and a link to elsewhere would have us change what is there.
   */
  #inside<Result>(work: (inside: (name: Name) => string) => Result): Result {
    const fd = openSync(this.#hidden, constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      return work((name) => `/proc/self/fd/${fd}/${name}`);
    } finally {
      closeSync(fd);
    }
  }
}

/** Under a name that may be another's: there is no moment without one. */
function link(from: string, to: string, made: string): void {
  remove(made);
  linkSync(from, made);
  renameSync(made, to);
}

/** Whatever it is, but for a directory; never what it points to (fs.rmSync may, when it changes meanwhile). */
function remove(path: string): void {
  expecting('ENOENT', () => unlinkSync(path));
}

function expecting(code: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== code) throw error;
  }
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The inode of what is there, if it is a socket. */
function socketIn(path: string): bigint | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true ? inodeOf(path) : undefined;
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

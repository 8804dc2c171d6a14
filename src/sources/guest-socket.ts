import {
  chmodSync,
  closeSync,
  constants,
  type FSWatcher,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  watch,
} from 'node:fs';
import { join } from 'node:path';

/** Longer than the source's daemon takes from removing an old socket to binding its new one. */
const bindMilliseconds = 200;

/** Beside the watch: for what a watch does not tell, as a file system that is mounted over the directory. */
const lookMilliseconds = 1000;

/** In the hidden directory: where ours is bound, the source's own, and what gets another name at once. */
type Name = 'own' | 'theirs' | 'new' | '.';

/**
 * The socket in the directory that the source's daemon has mounted into its guests. Ours is renamed over its name, so
 * that running guests reach us with their next connect and never find none; the daemon's own is kept by a hard link,
 * to be renamed back. Both lie in a directory that guests cannot enter, since it must be on the same mount as theirs.
 */
export class GuestSocket {
  readonly #directory: string;
  readonly #hidden: string;
  readonly path: string;
  #watcher: FSWatcher | undefined;
  #looking: NodeJS.Timeout | undefined;
  #waiting: NodeJS.Timeout | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.#hidden = join(directory, '.devlxd');
    this.path = join(directory, 'sock');
  }

  /** Before ours is bound: makes room for it, also after a process that was killed. */
  prepare(): void {
    this.#restore();
    if (!isDirectory(this.#hidden)) mkdirSync(this.#hidden);
    this.#inside((inside) => chmodSync(inside('.'), 0o700));
  }

  /** Binds ours, by the path under which bind is to do it. */
  bind(bindAt: (path: string) => number): number {
    return this.#inside((inside) => bindAt(inside('own')));
  }

  /** Is ours still where it was bound? */
  isBound(): boolean {
    return this.#own() !== undefined;
  }

  /** Guests reach us from here on. */
  take(): void {
    this.#inside((inside) => {
      const there = inodeOf(this.path);
      if (there === socketIn(inside('own'))) return;
      if (there !== undefined) link(this.path, inside('theirs'), inside('new'));
      link(inside('own'), this.path, inside('new'));
    });
  }

  /**
   * Calls take whenever the source's daemon, as it starts and stops, has put its own there or removed what it found.
   * isFollowed: is that daemon there? failed: told why it cannot be watched
   */
  watch(isFollowed: () => boolean, take: () => void, failed: (error: unknown) => void): void {
    const look = (): void => {
      const there = inodeOf(this.path);
      if (there !== undefined && there === this.#own()) return;
      // Removed by a daemon that starts: it binds next, which it could not do to a name that exists.
      if (there === undefined && !isFollowed()) this.#waiting ??= setTimeout(retake, bindMilliseconds);
      else retake();
    };
    const retake = (): void => {
      clearTimeout(this.#waiting);
      this.#waiting = undefined;
      take();
    };
    this.#looking = setInterval(look, lookMilliseconds);
    try {
      this.#watcher = watch(this.#directory, look).on('error', failed);
    } catch (error) {
      failed(error);
    }
  }

  unwatch(): void {
    this.#watcher?.close();
    clearInterval(this.#looking);
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
  }

  /** Guests reach the source's daemon again, if it still runs. */
  giveBack(): void {
    this.unwatch();
    this.#restore();
  }

  #restore(): void {
    if (!isDirectory(this.#hidden)) {
      remove(this.#hidden);
      return;
    }
    this.#inside((inside) => {
      const own = socketIn(inside('own'));
      if (own !== undefined && inodeOf(this.path) === own) {
        if (inodeOf(inside('theirs')) === undefined) unlinkSync(this.path);
        else renameSync(inside('theirs'), this.path);
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

import { type FSWatcher, linkSync, lstatSync, mkdirSync, renameSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';

/** Longer than the source's daemon takes from removing an old socket to binding its new one. */
const bindMilliseconds = 200;

/** Beside the watch: for what a watch does not tell, as a file system that is mounted over the directory. */
const lookMilliseconds = 1000;

/**
 * The socket in the directory that the source's daemon has mounted into its guests. Ours is renamed over its name, so
 * that running guests reach us with their next connect and never find none; the daemon's own is kept by a hard link,
 * to be renamed back. Both lie in a directory that guests cannot enter, since it must be on the same mount as theirs.
 */
export class GuestSocket {
  readonly #directory: string;
  readonly #hidden: string;
  readonly path: string;
  readonly #theirs: string;
  /** where ours is bound */
  readonly own: string;
  #watcher: FSWatcher | undefined;
  #looking: NodeJS.Timeout | undefined;
  #waiting: NodeJS.Timeout | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.#hidden = join(directory, '.devlxd');
    this.path = join(directory, 'sock');
    this.#theirs = join(this.#hidden, 'theirs');
    this.own = join(this.#hidden, 'own');
  }

  /** Before ours is bound: makes room for it, also after a process that was killed. */
  prepare(): void {
    this.#restore();
    mkdirSync(this.#hidden, { mode: 0o700 });
  }

  /** Is ours still where it was bound? */
  isBound(): boolean {
    return inodeOf(this.own) !== undefined;
  }

  /** Guests reach us from here on. */
  take(): void {
    const there = inodeOf(this.path);
    if (there === inodeOf(this.own)) return;
    if (there !== undefined) this.#link(this.path, this.#theirs);
    this.#link(this.own, this.path);
  }

  /**
   * Calls take whenever the source's daemon, as it starts and stops, has put its own there or removed what it found.
   * isFollowed: is that daemon there? failed: told why it cannot be watched
   */
  watch(isFollowed: () => boolean, take: () => void, failed: (error: unknown) => void): void {
    const look = (): void => {
      const there = inodeOf(this.path);
      if (there !== undefined && there === inodeOf(this.own)) return;
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

  /** Guests reach the source's daemon again; if it has ended, nobody. */
  giveBack(): void {
    this.unwatch();
    this.#restore();
  }

  #restore(): void {
    const own = inodeOf(this.own);
    if (own !== undefined && inodeOf(this.path) === own) {
      if (inodeOf(this.#theirs) === undefined) rmSync(this.path);
      else renameSync(this.#theirs, this.path);
    }
    rmSync(this.#hidden, { recursive: true, force: true });
  }

  /** Under a name that may be another's: there is no moment without one. */
  #link(from: string, to: string): void {
    const made = join(this.#hidden, 'new');
    rmSync(made, { force: true });
    linkSync(from, made);
    renameSync(made, to);
  }
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

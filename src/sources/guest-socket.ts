import { type FSWatcher, watch } from 'node:fs';
import type { SourceSetting } from '../config/dialects.js';
import { GuestDirectory, guestDirectories } from './guest-directory.js';
import { SocketSwap } from './socket-swap.js';
import type { SourceServer } from './source.js';

/** Longer than the source's daemon takes from removing an old socket to binding its new one. */
const bindMilliseconds = 200;

/** Beside the watch: for what a watch does not tell, as a file system that is mounted over the directory. */
const lookMilliseconds = 1000;

/** The guests' directory of the source is not where it is looked for. */
class NotFound extends Error {}

/** What is known of the socket of a source's guests. */
export interface SourceSocket {
  /** by which root of the host reaches it; '': it is not found */
  readonly path: string;
  /** why guests do not reach us there; '': they do */
  readonly reason: string;
}

/** The socket in the directory that the source's daemon has mounted into its guests, wherever that directory is. */
export class GuestSocket {
  readonly #source: SourceSetting;
  /** undefined: its directory is not found yet */
  #swap: SocketSwap | undefined;
  /** the daemon that has answered, and had its socket in there; undefined: it is a guess */
  #foundBy: SourceServer | undefined;
  #watcher: FSWatcher | undefined;
  #looking: NodeJS.Timeout | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #watchAgain: () => void = () => undefined;

  constructor(source: SourceSetting) {
    this.#source = source;
  }

  /** by which root of the host reaches what guests reach; '': it is not found */
  get path(): string {
    return this.#swap === undefined ? '' : `${this.#swap.directory.path}/sock`;
  }

  /** Do guests reach us? */
  get isTaken(): boolean {
    return this.#swap?.isTaken === true;
  }

  /** Is ours still where it was bound? */
  get isBound(): boolean {
    return this.#swap?.isBound === true;
  }

  /**
   * Finds the directory of a daemon that answers on its API: it has bound its socket there. Of ours nothing is left in
   * another one, unless guests that run may have that one mounted.
   * @throws Error, which says where it was looked for
   */
  find(server: SourceServer): void {
    const isKnown = ({ directory }: SocketSwap): boolean =>
      this.#foundBy !== undefined && this.#swap?.directory.isSame(directory) === true;
    const { swap, tried } = firstOf(guestDirectories(this.#source, server), (each) => isKnown(each) || each.hasTheirs);
    if (swap !== undefined) {
      this.#foundBy = server;
      this.#moveTo(swap);
    } else if (this.#foundBy?.pid !== server.pid) throw new NotFound(tried); // else it ends just now
  }

  /**
   * While the daemon is away: the directory on the host, which it has unless it is in a mount namespace of its own.
   * mustBeBound: only if ours is in it already
   * @throws Error
   */
  guess(mustBeBound: boolean): void {
    const { swap, tried } = firstOf(guestDirectories(this.#source, undefined), (each) => each.isBound || !mustBeBound);
    if (swap !== undefined) this.#moveTo(swap);
    else if (!mustBeBound) throw new NotFound(tried);
  }

  /** Binds ours, by the path under which bind is to do it. */
  bind(bindAt: (path: string) => number): number {
    const swap = this.#found();
    swap.prepare();
    return swap.bind(bindAt);
  }

  /** Guests reach us from here on. */
  take(): void {
    this.#found().take();
  }

  /**
   * Calls look now and then, and whenever something happens in the directory: the source's daemon, as it starts and
   * stops, puts its own there or removes what it finds. failed: told why it cannot be watched
   */
  watch(look: () => void, failed: (error: unknown) => void): void {
    this.#watchAgain = () => {
      this.#watcher?.close();
      this.#watcher = undefined;
      if (this.#swap === undefined) return;
      try {
        this.#watcher = watch(this.#swap.directory.at(''), look).on('error', failed);
      } catch (error) {
        failed(error);
      }
    };
    this.#looking = setInterval(look, lookMilliseconds);
    this.#watchAgain();
  }

  /** Calls take when it is time to. isSafe: no daemon starts now */
  whenFree(isSafe: boolean, take: () => void): void {
    const now = (): void => {
      clearTimeout(this.#waiting);
      this.#waiting = undefined;
      take();
    };
    // Removed by a daemon that starts: it binds next, which it could not do to a name that exists.
    if (this.#swap?.isGone === true && !isSafe) this.#waiting ??= setTimeout(now, bindMilliseconds);
    else now();
  }

  unwatch(): void {
    this.#watchAgain = () => undefined;
    this.#watcher?.close();
    clearInterval(this.#looking);
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
  }

  /** Guests reach the source's daemon again, if it still runs. */
  giveBack(): void {
    this.unwatch();
    this.#swap?.restore();
  }

  #found(): SocketSwap {
    if (this.#swap === undefined) throw new NotFound('the directory of its guests is not known until it answers');
    return this.#swap;
  }

  #moveTo(next: SocketSwap): void {
    const last = this.#swap;
    if (last?.directory.isSame(next.directory)) {
      last.directory.path = next.directory.path; // of the process that runs now
      next.directory.close();
      return;
    }
    this.#swap = next;
    this.#watchAgain();
    if (last === undefined) return;
    try {
      if (!last.directory.isMount) last.restore();
    } finally {
      last.directory.close();
    }
  }
}

interface Found {
  /** undefined: none of them is it */
  readonly swap?: SocketSwap;
  /** why not, of each */
  readonly tried: string;
}

/** The first of these directories that there is and that is it; the others are closed. */
function firstOf(paths: readonly string[], isIt: (swap: SocketSwap) => boolean): Found {
  const tried: string[] = [];
  for (const path of paths) {
    let directory: GuestDirectory | undefined;
    try {
      directory = new GuestDirectory(path);
      const swap = new SocketSwap(directory);
      if (isIt(swap)) return { swap, tried: '' };
      tried.push(`no socket in ${path}`);
    } catch (error) {
      tried.push(`${(error as NodeJS.ErrnoException).code} at ${path}`);
    }
    directory?.close();
  }
  return { tried: tried.join('; ') };
}

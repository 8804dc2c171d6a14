import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { dialects, type SourceSetting } from '../config/dialects.js';
import type { SourceServer } from './source.js';
import { socketPathOf } from './source-socket.js';

/** O_PATH, which Node does not name: it needs no permission to read. */
const asPath = 0o10000000;

/**
 * The directory that a source's daemon mounts into its guests, held by a descriptor: it stays the same one while that
 * daemon, in whose mount namespace it may be, is away.
 */
export class GuestDirectory {
  /** under which it was found last */
  path: string;
  readonly #fd: number;

  /** @throws Error */
  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, constants.O_DIRECTORY | asPath);
  }

  /** What leads to a name in it, for this process. */
  at(name: string): string {
    return `/proc/self/fd/${this.#fd}/${name}`;
  }

  isSame(other: GuestDirectory): boolean {
    return isSameFile(fstatSync(this.#fd), fstatSync(other.#fd));
  }

  /** Is it the root of a file system of its own? Guests that run may have it mounted, and no other. */
  get isMount(): boolean {
    const [here, above] = [fstatSync(this.#fd), statSync(this.at('..'))];
    return here.dev !== above.dev || here.ino === above.ino;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/**
 * Where the guests' directory of this source may be, best first. A daemon that runs in a mount namespace of its own, as
 * LXD does in its snap, has it mounted only there; this leads there by its process, if that process sees the same API
 * socket under the same path: its pid may be one of another pid namespace.
 */
export function guestDirectories(source: SourceSetting, server: SourceServer | undefined): string[] {
  const socketPath = server?.socketPath ?? socketPathOf(source);
  const beside = (path: string): string => join(dirname(path), dialects[source.name].guestDirectory);
  const inside = server?.pid === undefined ? undefined : `/proc/${server.pid}/root${asSeenInside(socketPath)}`;
  const isItsOwn = inside !== undefined && isSamePath(inside, socketPath);
  return isItsOwn ? [beside(inside), beside(socketPath)] : [beside(socketPath)];
}

/** --source may already name a path by way of a process. */
function asSeenInside(path: string): string {
  return path.replace(/^\/proc\/\d+\/root(?=\/)/, '');
}

function isSamePath(a: string, b: string): boolean {
  try {
    return isSameFile(statSync(a), statSync(b));
  } catch {
    return false; // without CAP_SYS_PTRACE the one cannot be looked at
  }
}

function isSameFile(a: Stats, b: Stats): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { OptionError, type Settings } from './config.js';
import { listenUnix } from './gate.js';
import { closeAll, duplicate, type Inheritance, type KeptConnection, type SocketName } from './handover.js';
import { socketPaths } from './socket-paths.js';

export { socketPaths };

const nothing: Inheritance = { sockets: new Map(), connections: [] };

/**
 * The listening sockets, and connections that came with them. They are held here and not by the daemon that accepts
 * on them, so that callers wait in the backlog while one daemon ends and the next one starts.
 */
export class Sockets {
  readonly #settings: Settings;
  readonly #descriptors: Map<SocketName, number>;
  /** bound by this process, or by the one that handed over to it: their files are to be removed */
  readonly #files = new Set<string>();
  #connections: readonly KeptConnection[];

  /** ownsFiles: the inherited sockets' files are this process's to remove; a service manager's are not */
  constructor(settings: Settings, inherited = nothing, ownsFiles = false) {
    this.#settings = settings;
    this.#descriptors = new Map(inherited.sockets);
    this.#connections = inherited.connections;
    if (ownsFiles) for (const name of this.#descriptors.keys()) this.#files.add(this.path(name));
  }

  path(name: SocketName): string {
    return socketPaths(this.#settings.runDir)[name];
  }

  /**
   * A descriptor to accept on, the caller's from here on; the socket is bound if it is not there yet.
   * @throws Fault socket-in-use
   */
  listening(name: SocketName): number {
    const fd = this.#descriptors.get(name) ?? this.#bind(name);
    return duplicate(fd);
  }

  /** The connections that wait to be taken in; they belong to whoever asks. */
  takeConnections(): readonly KeptConnection[] {
    const connections = this.#connections;
    this.#connections = [];
    return connections;
  }

  /** For the next daemon that asks. */
  keep(connections: readonly KeptConnection[]): void {
    this.#connections = connections;
  }

  /** What another process goes on with, in copies that stay here. */
  inheritance(): Inheritance {
    return { sockets: this.#descriptors, connections: this.#connections };
  }

  /** Nothing is accepted any more. handedOver: somebody else is there who does, on the same files */
  close(handedOver = false): void {
    if (!handedOver) for (const file of this.#files) rmSync(file, { force: true });
    for (const fd of this.#descriptors.values()) closeSync(fd);
    this.#descriptors.clear();
    closeAll(this.takeConnections());
  }

  #bind(name: SocketName): number {
    prepareDirectories(this.#settings.runDir);
    const { backlog, group } = this.#settings;
    const operators = group === '' ? 0o600 : 0o660;
    const fd = listenUnix(this.path(name), name === 'guest' ? 0o666 : operators, backlog);
    this.#descriptors.set(name, fd);
    this.#files.add(this.path(name));
    if (name === 'control' && group !== '') giveToGroup(this.path(name), group);
    return fd;
  }
}

/** The guests' directory is what is mounted into them: it holds their socket and nothing else. */
function prepareDirectories(runDir: string): void {
  for (const [directory, mode] of [
    [runDir, 0o711],
    [socketPaths(runDir).guestDir, 0o755],
  ] as const) {
    if (existsSync(directory)) continue;
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, mode);
  }
}

function giveToGroup(path: string, group: string): void {
  const gid = Number(group);
  if (!Number.isInteger(gid)) throw new OptionError(`--group takes the number of a group, not "${group}".`);
  chownSync(path, -1, gid);
}

import { chmodSync, closeSync, existsSync, mkdirSync } from 'node:fs';
import type { Settings } from '../config/options.js';
import { socketPaths } from '../config/paths.js';
import { duplicate, listenUnix } from '../gate/unix-socket.js';
import { listenVsock, vsockPortOf } from '../gate/vsock.js';
import { GuestSocket } from '../sources/guest-socket.js';
import { type Counts, noCounts } from './counts.js';
import { giveToGroup } from './group.js';
import { MetricsSocket } from './metrics-socket.js';
import { closeAll, type Handover, type HandoverConnection, type SocketName } from './protocol.js';
import { type FileId, fileId, RunDirectoryOwner, removeFile } from './run-directory.js';

/** Holds a listening socket beyond the life of this process. */
interface SocketStore {
  storeSocket(name: SocketName, fd: number): void;
  dropSocket(name: SocketName): void;
}

const nothing: Handover = { sockets: new Map(), bound: new Map(), connections: [], metrics: undefined };

/**
 * The listening sockets, and connections and counts that came with them. They are held here and not by the daemon that accepts
 * on them, so that callers wait in the backlog while one daemon ends and the next one starts.
 */
export class ListeningSockets {
  readonly #settings: Settings;
  readonly #descriptors: Map<SocketName, number>;
  readonly #socketStore: SocketStore | undefined;
  /** bound by this process or by one before it: their files are removed in the end, unless others have taken their place */
  readonly #bound: Map<SocketName, FileId>;
  /** the files of sockets that a service manager has bound */
  readonly #passed = new Map<SocketName, FileId>();
  readonly #owner: RunDirectoryOwner;
  #guestDirectory: FileId;
  /** of --source; undefined: there is none */
  readonly source: GuestSocket | undefined;
  readonly metrics: MetricsSocket;
  #connections: readonly HandoverConnection[];
  /** what the daemon before has counted */
  counts: Counts;

  /** socketStore: holds a socket that this process has bound, should it be killed */
  constructor(settings: Settings, received = nothing, socketStore?: SocketStore) {
    this.#settings = settings;
    this.#socketStore = socketStore;
    this.#descriptors = new Map(received.sockets);
    this.#bound = new Map(received.bound);
    this.#owner = new RunDirectoryOwner(settings.runDir);
    for (const name of ['guest', 'control'] as const)
      if (this.#descriptors.has(name) && !this.#bound.has(name)) this.#passed.set(name, fileId(this.path(name)));
    this.#connections = received.connections;
    this.counts = received.counts ?? noCounts;
    this.metrics = new MetricsSocket(settings, received.metrics);
    this.source = settings.source === undefined ? undefined : new GuestSocket(settings.source);
    if (this.source === undefined) this.#forget('source');
    if (this.#descriptors.has('vsock') || this.vsockPort !== settings.vsockPort) this.#forget('own-vsock');
  }

  path(name: 'guest' | 'control'): string {
    return socketPaths(this.#settings.runDir)[name];
  }

  /**
   * A descriptor to accept on, the caller's from here on; the socket is bound if it is not there yet.
   * @throws Fault socket-in-use
   */
  listening(name: 'guest' | 'control'): number {
    const fd = this.#descriptors.get(name);
    if (fd !== undefined) return duplicate(fd);
    this.#owner.check();
    return duplicate(this.#bind(name));
  }

  /** The port of vsock(7) that is listened on; 0: none. A service manager's goes before --vsock-port. */
  get vsockPort(): number {
    const fd = this.#descriptors.get('vsock') ?? this.#descriptors.get('own-vsock');
    return fd === undefined ? 0 : vsockPortOf(fd);
  }

  /**
   * As `listening`, for virtual machines; undefined: there is to be none.
   * @throws Fault socket-in-use or bad-socket
   */
  listeningVsock(): number | undefined {
    const fd = this.#descriptors.get('vsock') ?? this.#descriptors.get('own-vsock') ?? this.#bindVsock();
    return fd === undefined ? undefined : duplicate(fd);
  }

  /** Both sockets are accepted on. */
  accepting(): void {
    this.#guestDirectory = fileId(socketPaths(this.#settings.runDir).guestDir);
    if (this.#bound.size > 0) this.#owner.claim();
  }

  /** Does the path of a socket still lead to this daemon? */
  fileOf(name: 'guest' | 'control'): 'ours' | 'removed' | 'replaced' {
    const found = fileId(this.path(name));
    if (found === undefined) return 'removed';
    return found === (this.#bound.get(name) ?? this.#passed.get(name)) ? 'ours' : 'replaced';
  }

  /** Was the directory that instances have mounted replaced? They still have the old one. */
  get guestDirectoryReplaced(): boolean {
    return fileId(socketPaths(this.#settings.runDir).guestDir) !== this.#guestDirectory;
  }

  /**
   * Binds a socket again whose file was removed, as `listening`. undefined: a service manager has bound it.
   * @throws Fault
   */
  bindAgain(name: 'guest' | 'control'): number | undefined {
    if (!this.#bound.has(name)) return undefined;
    const last = this.#descriptors.get(name);
    const fd = this.#bind(name);
    if (last !== undefined) closeSync(last); // connections in its backlog are still answered: the daemon has a copy
    this.#owner.claim();
    return duplicate(fd);
  }

  /** Was the source's guest socket bound already, by this process or by one before it? */
  get hasBoundSource(): boolean {
    return this.#descriptors.has('source');
  }

  /**
   * The source's guests reach us from here on; where its directory is not known yet, as they have before.
   * @returns what they reach, which stays here; another than the last time when that has vanished with its file system
   */
  take(source: GuestSocket): number {
    const last = this.#descriptors.get('source');
    if (last !== undefined && source.path === '') return last;
    const fd = last !== undefined && source.isBound ? last : this.#bindAt(source);
    source.take();
    return fd;
  }

  /**
   * The guests reach the source's daemon again; connections that exist already are still answered here.
   * @returns why they do not; undefined: they do
   */
  giveBack(): unknown {
    if (this.source === undefined) return undefined;
    this.#socketStore?.dropSocket('source');
    try {
      this.source.giveBack();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  /** The connections that were received; the caller owns them. */
  takeConnections(): readonly HandoverConnection[] {
    const connections = this.#connections;
    this.#connections = [];
    return connections;
  }

  /** For the next daemon, in this process or in another. */
  putConnections(connections: readonly HandoverConnection[]): void {
    this.#connections = connections;
  }

  /** What a new process is given, in copies: this process still has everything. */
  handover(): Handover {
    const { held: metrics } = this.metrics;
    const { counts } = this;
    return { sockets: this.#descriptors, bound: this.#bound, connections: this.#connections, metrics, counts };
  }

  /** handedOver: another process accepts on the same files, which stay */
  close(handedOver = false): void {
    if (!handedOver) {
      this.giveBack();
      for (const name of ['guest', 'control'] as const)
        if (this.#bound.has(name)) removeFile(this.path(name), this.#bound.get(name));
      if (this.#bound.size > 0) this.#owner.release();
    }
    this.metrics.close(handedOver);
    for (const fd of this.#descriptors.values()) closeSync(fd);
    this.#descriptors.clear();
    closeAll(this.takeConnections());
  }

  /** Closes a socket that the settings do not want any more: nothing would accept on it. */
  #forget(name: 'source' | 'own-vsock'): void {
    const fd = this.#descriptors.get(name);
    if (fd === undefined) return;
    closeSync(fd);
    this.#descriptors.delete(name);
    this.#socketStore?.dropSocket(name);
  }

  #bindVsock(): number | undefined {
    const { vsockPort, backlog } = this.#settings;
    if (vsockPort === 0) return undefined;
    const fd = listenVsock(vsockPort, backlog);
    this.#descriptors.set('own-vsock', fd);
    this.#socketStore?.storeSocket('own-vsock', fd);
    return fd;
  }

  #bindAt(source: GuestSocket): number {
    const fd = source.bind((path) => listenUnix(path, 0o666, this.#settings.backlog));
    const last = this.#descriptors.get('source');
    this.#descriptors.set('source', fd);
    if (last !== undefined) closeSync(last); // now, so that the new one has another number
    this.#socketStore?.dropSocket('source');
    this.#socketStore?.storeSocket('source', fd);
    return fd;
  }

  #bind(name: 'guest' | 'control'): number {
    prepareDirectories(this.#settings.runDir);
    const { backlog, group } = this.#settings;
    const operators = group === '' ? 0o600 : 0o660;
    const fd = listenUnix(this.path(name), name === 'guest' ? 0o666 : operators, backlog);
    this.#descriptors.set(name, fd);
    this.#bound.set(name, fileId(this.path(name)));
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

import type { HttpResponse, us_listen_socket } from 'uWebSockets.js';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../package-root.js';

// What the loaded binary has, member by member. Only this file loads it, and only gate.ts and handover.ts use it: what
// each member means stands there.

/** A system call that failed; errno 0: none did. */
export interface Failure {
  readonly call: string;
  readonly errno: number;
}

export type RegisterOutcome =
  | 'registered'
  | 'gone'
  | 'own-namespace'
  | 'not-init'
  | 'no-root'
  | 'taken'
  | 'denied'
  | 'failed';

export interface NativeRegistration extends Failure {
  readonly outcome: RegisterOutcome;
  readonly slot: number;
  readonly namespace: string;
  readonly rootUid: number;
  readonly startTicks: number;
}

export interface NativeGate {
  attach(listenToken: us_listen_socket, binary: string): string;
  setLimits(limits: Uint32Array): void;
  listen(fd: number): Failure;
  stopListening(): void;
  register(pid: number): NativeRegistration;
  activate(slot: number): void;
  unregister(slot: number): void;
  callerOf(response: HttpResponse): number;
  credentialsOf(response: HttpResponse): Credentials | undefined;
  cacheResponse(response: HttpResponse, head: string, body: string): void;
  forgetResponses(slot: number): void;
  detach(response: HttpResponse): void;
  take(response: HttpResponse): number;
  release(slot: number): void;
  part(keep: boolean): number[];
  admit(fd: number, startTicks: number): void;
  readmit(fd: number, slot: number, root: boolean): boolean;
  callerOfTicket(ticket: number): number;
  mayAsk(ticket: number): boolean;
  forget(ticket: number): void;
  admitSelfTest(pid: number): number;
  counters(): GateCounters;
  countersOf(slot: number): InstanceCounters;
  takeSlotsWithHits(): number[];
}

export interface NativeSent extends Failure {
  readonly bytes: number;
}

export interface NativeMessage extends Failure {
  readonly bytes: string;
  readonly descriptors: number[];
}

export interface NativeControlListener {
  listen(fd: number): Failure;
  admit(fd: number): void;
  stop(): void;
}

interface Addon {
  readonly identityMethods: readonly string[];
  bestIdentityMethod(): number;
  listenUnix(path: string, mode: number, backlog: number): number | Failure;
  duplicate(fd: number): number | Failure;
  listens(fd: number): boolean;
  isConnection(fd: number): boolean;
  connectUnix(path: string): number | Failure;
  sendMessage(socket: number, text: string, descriptors: readonly number[]): Failure;
  receiveMessage(socket: number): Promise<NativeMessage>;
  notifyManager(path: string, text: string, descriptors: readonly number[]): Failure;
  sendFile(socket: number, file: number, offset: number, length: number): Promise<NativeSent>;
  readonly Gate: new (
    path: number,
    limits: Uint32Array,
    onInitExit: (slots: number[]) => void,
    onOddRequest: (fd: number, data: Buffer, ticket: number) => void,
  ) => NativeGate;
  readonly ControlListener: new (
    onConnection: (fd: number, pid: number, uid: number, gid: number) => void,
  ) => NativeControlListener;
}

const require = createRequire(import.meta.url);
export const addon = require(process.env['DEVLXD_ADDON'] ?? join(packageRoot, 'build/Release/devlxd.node')) as Addon;

/** Who called connect(2), as the host's kernel said when the connection was accepted. */
export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Of one instance since it was started, except connections, which are now. */
export interface InstanceCounters {
  readonly connections: number;
  readonly cacheHits: number;
  /** closed at once: the instance had its share of connections */
  readonly refused: number;
  readonly throttled: number;
  /** closed at once: the daemon had all the connections it takes */
  readonly overLimit: number;
  /** closed: more was sent ahead of the instance's rate than is held */
  readonly sentAhead: number;
}

/** Since the start of the daemon, except connections, room, running and held, which are now. */
export interface GateCounters {
  readonly accepted: number;
  /** closed at once: the instance had its share of connections */
  readonly overInstanceLimit: number;
  /** closed at once: the daemon had all the connections it takes */
  readonly overLimit: number;
  /** closed at once: of no registered instance, and such have their share of connections */
  readonly overUnregistered: number;
  /** served as nobody: of the host, exited before the accept, or one stranger too many */
  readonly unidentified: number;
  /** reads of guests' connections that waited for their instance's rate */
  readonly throttled: number;
  /** closed: more was sent ahead of the instance's rate than is held */
  readonly sentAhead: number;
  /** of those served as nobody: one stranger too many */
  readonly overPendingCallers: number;
  /** requests that came again and were answered without JavaScript */
  readonly cacheHits: number;
  /** accepted and dropped because no file descriptor was left */
  readonly shed: number;
  readonly connections: number;
  /** what connections may be, as long as no instance starts or stops */
  readonly room: number;
  readonly running: number;
  /** callers that wait for their instance, with a request */
  readonly held: number;
  /** and so many that ever did */
  readonly everHeld: number;
}

import type { HttpResponse, us_listen_socket, WebSocket } from 'uWebSockets.js';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Fault } from '../errors.js';
import { packageRoot, rebuildAdvice } from '../package-root.js';

// The members of the addon. Only this file loads it, and only src/gate/ uses it, where each member is documented.

/** A system call that failed; errno 0: none did. */
export interface Failure {
  readonly call: string;
  readonly errno: number;
}

export type RegisterOutcome =
  | 'registered'
  | 'gone'
  | 'own-namespace'
  | 'own-process'
  | 'not-init'
  | 'no-root'
  | 'taken'
  | 'cid-taken'
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
  setLimits(numbers: Uint32Array, responseCacheBytes: number): void;
  setServesNested(slot: number, serves: boolean): void;
  setServesNonroot(slot: number, serves: boolean): void;
  listen(fd: number): Failure;
  stopListening(): void;
  register(pid: number, cid?: number): NativeRegistration;
  activate(slot: number): void;
  unregister(slot: number): void;
  beginRequest(response: HttpResponse): number;
  credentialsOf(response: HttpResponse): Credentials | undefined;
  responseGiven(response: HttpResponse, head?: string, body?: string, kind?: number): void;
  forgetResponses(slot: number): void;
  detach(response: HttpResponse): number;
  watchFrames(socket: WebSocket<unknown>, slot: number): void;
  forgetFrames(fd: number): void;
  charge(slot: number, tokens: number): void;
  take(response: HttpResponse): number;
  release(slot: number): void;
  closeIdle(): void;
  takeForHandover(): number[];
  admit(fd: number, startTicks: number, ticket: number): void;
  readmit(fd: number, slot: number, root: boolean, part: number): boolean;
  admitSelfTest(pid: number): number;
  counters(): GateCounters;
  countersOf(slot: number): InstanceCounters;
  hitsOf(slot: number): number[];
  measures(): GateMeasures;
  takeLongestTurn(): number;
  takeSlotsWithHits(): number[];
}

export interface NativeGateEvents {
  /** its head and its body, with an empty line between them, and its kind in `answerKind`; undefined: not in this way */
  onRequest(caller: number, target: string): string | undefined;
  readonly answerKind: Uint32Array;
  onInitExit(slots: number[]): void;
  onHeld(flat: number[]): void;
  onLetGo(tickets: number[]): void;
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
  /** NODE_MODULE_VERSION of the Node that it was built for */
  readonly nodeAbi: number;
  readonly identityMethods: readonly string[];
  readonly limitNames: readonly string[];
  bestIdentityMethod(): number;
  listenUnix(path: string, mode: number, backlog: number): number | Failure;
  duplicate(fd: number, least: number): number | Failure;
  listenTcp(address: string, port: number, backlog: number): number | Failure;
  listenVsock(port: number, backlog: number): number | Failure;
  vsockPort(fd: number): number | undefined;
  listens(fd: number, unixOnly: boolean): boolean;
  isConnection(fd: number): boolean;
  stopReading(fd: number): void;
  connectUnix(path: string): number | Failure;
  sendMessage(socket: number, text: string, descriptors: readonly number[], waitMilliseconds: number): Failure;
  /** waitMilliseconds: -1: no limit */
  receiveMessage(socket: number, waitMilliseconds: number): Promise<NativeMessage>;
  notifyManager(path: string, text: string, descriptors: readonly number[], waitMilliseconds: number): Failure;
  sendFile(socket: number, file: number, offset: number, length: number): Promise<NativeSent>;
  readonly Gate: new (
    method: number,
    numbers: Uint32Array,
    responseCacheBytes: number,
    events: NativeGateEvents,
  ) => NativeGate;
  readonly ControlListener: new (
    onConnection: (fd: number, pid: number, uid: number, gid: number) => void,
  ) => NativeControlListener;
}

export const addon = load(process.env['DEVLXD_ADDON'] ?? join(packageRoot, 'build/Release/devlxd.node'));

/** @throws Fault bridge-broken: it is not there, or fits another Node */
function load(file: string): Addon {
  let loaded: Addon;
  try {
    loaded = createRequire(import.meta.url)(file) as Addon;
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new Fault('bridge-broken', `The addon cannot be loaded: ${reason}. ${rebuildAdvice}`);
  }
  const abi = Number(process.versions.modules);
  if (loaded.nodeAbi === abi) return loaded;
  throw new Fault(
    'bridge-broken',
    `The addon was built for another Node (ABI ${loaded.nodeAbi}) than this one, ${process.version} (ABI ${abi}). ${rebuildAdvice}`,
  );
}

/** The process that called connect(2), as the host's kernel said when the connection was accepted. */
export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** of a virtual machine that is known by its context id, vsock(7), and then by no process */
  readonly cid?: number;
}

/** Of one instance since it was started, except connections, which are now. */
export interface InstanceCounters {
  readonly connections: number;
  /** requests that `GateEvents.onRequest` or the response cache has answered */
  readonly answered: number;
}

/** How often something took how long; seconds. */
export interface Durations {
  readonly bounds: readonly number[];
  /** up to each bound and above the one before; the last one: above all */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Since the start of the daemon, except used, which is now. */
export interface GateMeasures {
  /** from when a request could be read to when its answer was given, of those that were answered */
  readonly took: Durations;
  /** how long requests were held for their instance to be registered */
  readonly held: Durations;
  /** requests that `GateEvents.onRequest` or the response cache has answered, by the kind that either was told */
  readonly answered: readonly number[];
  /** what was no request, and was answered without JavaScript */
  readonly refused: { readonly badRequest: number; readonly tooLarge: number; readonly unknownCoding: number };
  /** how much of a limit is used, by its name; of limits for each instance or user, by the one that uses most */
  readonly used: Readonly<Record<string, number>>;
}

/** Since the start of the daemon, except connections, room, running and held, which are now. */
export interface GateCounters {
  readonly accepted: number;
  /** connections of unidentified callers that were served */
  readonly unidentified: number;
  /** requests answered from the response cache */
  readonly cacheHits: number;
  /** in the order of `gateLimitNames` */
  readonly hits: readonly number[];
  readonly connections: number;
  /** what connections may be, as long as no instance starts or stops */
  readonly room: number;
  readonly running: number;
  /** requests held for their instance to be registered */
  readonly held: number;
  readonly everHeld: number;
}

import type { HttpResponse, us_listen_socket, WebSocket } from 'uWebSockets.js';
import { Fault } from '../errors.js';
import {
  addon,
  type Credentials,
  type GateCounters,
  type GateMeasures,
  type InstanceCounters,
  type NativeGate,
} from './addon.js';
import { type Caller, noConnection } from './caller.js';
import { check } from './failure.js';
import { type GateConnection, gateConnections } from './gate-connections.js';
import { type GateEvents, nativeEvents } from './gate-events.js';
import { type Registration, registrationOf } from './registration.js';

export type { Credentials, Durations, GateCounters, GateMeasures, InstanceCounters } from './addon.js';
export type { HeldCaller } from './gate-connections.js';
export type { Registration } from './registration.js';

/** The ways to identify a caller, best first (docs/architecture.md, "Identifying a caller"). */
export const identityMethods = addon.identityMethods;

/** The best way that the running kernel has. */
export function bestIdentityMethod(): string {
  return identityMethods[addon.bestIdentityMethod()] as string;
}

/** The limits that the gate enforces, by the names of their options; `descriptors`, `sent-ahead` and `request-head` have none. */
export const gateLimitNames = addon.limitNames;

export interface GateLimits {
  /** one for each of `gateLimitNames`, in that order; 0: no limit */
  readonly numbers: Uint32Array;
  /** bytes of responses cached for one instance; 0: none */
  readonly responseCacheBytes: number;
}

/**
 * The guests' side of the addon: accepts, identifies the caller, counts, and hands the connection to a
 * uWebSockets.js app. A connection accepted before `activate` of its namespace waits for that.
 */
export class Gate {
  readonly #native: NativeGate;

  constructor(identityMethod: string, { numbers, responseCacheBytes }: GateLimits, events: GateEvents) {
    const best = addon.bestIdentityMethod();
    const method = identityMethod === 'auto' ? best : identityMethods.indexOf(identityMethod);
    if (method < best) {
      throw new Fault(
        'invalid-value',
        `This kernel cannot identify callers by ${identityMethod}; it has ${bestIdentityMethod()}.`,
      );
    }
    this.#native = new addon.Gate(method, numbers, responseCacheBytes, nativeEvents(events));
  }

  /** Takes effect at once. Connections above a lowered limit are kept. */
  setLimits({ numbers, responseCacheBytes }: GateLimits): void {
    this.#native.setLimits(numbers, responseCacheBytes);
  }

  /** Does the instance serve callers of pid namespaces inside its own? If not, callers that connect from now on are refused. */
  setServesNested(slot: number, serves: boolean): void {
    this.#native.setServesNested(slot, serves);
  }

  /** Does the instance serve users other than root? If not, these share `connections-nonroot` of its connections. */
  setServesNonroot(slot: number, serves: boolean): void {
    this.#native.setServesNonroot(slot, serves);
  }

  /**
   * Makes the app of this listen token the one that serves.
   * @param binary path of the loaded uws_*.node
   * @throws Fault bridge-broken, with the step that failed
   */
  attach(listenToken: us_listen_socket, binary: string): void {
    const failed = this.#native.attach(listenToken, binary);
    if (failed !== '') throw bridgeBroken(failed);
  }

  /** Accepts on one more listening socket, which belongs to the gate from here on. */
  listen(fd: number): void {
    check(this.#native.listen(fd), 'listening for guests');
  }

  stopListening(): void {
    this.#native.stopListening();
  }

  /**
   * Registers a running init. No caller belongs to it before `activate`.
   * @throws Fault cannot-register or shares-namespace, with the reason
   */
  register(pid: number): Registration {
    return registrationOf(pid, this.#native.register(pid));
  }

  /**
   * The same for a virtual machine.
   * @param pid the process that calls connect(2) for it; the init of a pid namespace stands for all processes in there
   * @param cid its context id of vsock(7), from 3 on; 0: none
   * @throws Fault cannot-register, with the reason
   */
  registerVm(pid: number, cid: number): Registration {
    return registrationOf(pid, this.#native.register(pid, cid));
  }

  /** Callers of its namespace belong to it from here on, pending ones as well. */
  activate(slot: number): void {
    this.#native.activate(slot);
  }

  /** Closes the instance's connections and forgets its namespace. */
  unregister(slot: number): void {
    this.#native.unregister(slot);
  }

  /**
   * Once for each request, since it charges the instance for one: before the first await of a handler, and before
   * `detach` and `take`.
   */
  beginRequest(response: HttpResponse): Caller {
    const caller = this.#native.beginRequest(response);
    if (caller === noConnection) throw new Error('beginRequest: the response has ended, or another app serves it');
    return caller as Caller;
  }

  /** For the log. */
  credentialsOf(response: HttpResponse): Credentials | undefined {
    return this.#native.credentialsOf(response);
  }

  /**
   * Once for each response, before the last of it is given to uWebSockets: from its end on a request may begin.
   * With head (status line and headers, each with its CRLF, without Date and Content-Length) and body, when they depend
   * on the instance alone: they are given again to the instance's root, without JavaScript, when the same bytes come
   * again, until `forgetResponses`, each time counted as of this kind. That is done only in the request's own handler.
   */
  responseGiven(response: HttpResponse, head?: string, body?: string, kind?: number): void {
    if (head === undefined) this.#native.responseGiven(response);
    else this.#native.responseGiven(response, head, body, kind);
  }

  /** At once when anything changes on which an answer to this slot's instance depends. */
  forgetResponses(slot: number): void {
    this.#native.forgetResponses(slot);
  }

  /**
   * Before res.upgrade(). The connection stays charged to its instance until `release(slot)`.
   * @returns the number of its descriptor, which uWebSockets still owns
   */
  detach(response: HttpResponse): number {
    return this.#native.detach(response);
  }

  /**
   * After the upgrade: what the WebSocket sends is charged to the instance, and it is closed when that is more than
   * `websocket-frames` of the longest pings in a second.
   */
  watchFrames<Data>(socket: WebSocket<Data>, slot: number): void {
    this.#native.watchFrames(socket as WebSocket<unknown>, slot);
  }

  /** Before `release`, when the WebSocket has ended: its peer may still send, which the next instance must not pay. */
  forgetFrames(fd: number): void {
    this.#native.forgetFrames(fd);
  }

  /** Charges the instance in this slot for work besides its requests, in requests that cost as much. */
  charge(slot: number, tokens: number): void {
    this.#native.charge(slot, tokens);
  }

  /**
   * A copy of the connection's descriptor, which the caller owns; res.close() must follow at once. Charged like
   * after `detach`. -1 when no descriptor is left.
   */
  take(response: HttpResponse): number {
    return this.#native.take(response);
  }

  /** Ends the charge of a detached or taken connection. */
  release(slot: number): void {
    this.#native.release(slot);
  }

  /** Before this process ends: closes idle connections. Call again for connections that were busy. */
  closeIdle(): void {
    this.#native.closeIdle();
  }

  /** The same, but gives away the connections that the next process can serve. */
  takeForHandover(): GateConnection[] {
    return gateConnections(this.#native.takeForHandover());
  }

  /**
   * Takes in a connection that another process has accepted, as if it had come just now. startTicks, ticket:
   * `GateConnection`'s; `onLetGo` is called when a caller with a ticket is not held here.
   */
  admit(fd: number, startTicks: number, ticket: number): void {
    this.#native.admit(fd, startTicks, ticket);
  }

  /** The same for one that is known to be of the instance in this slot. part: `GateConnection`'s; it is closed here */
  readmit(fd: number, slot: number, root: boolean, part: number): void {
    this.#native.readmit(fd, slot, root, part);
  }

  /** One end of a socketpair whose other end the app serves, as of a caller with this pid. */
  admitSelfTest(pid: number): number {
    return this.#native.admitSelfTest(pid);
  }

  counters(): GateCounters {
    return this.#native.counters();
  }

  /** The slots whose instances have reached a limit since the last call. */
  takeSlotsWithHits(): number[] {
    return this.#native.takeSlotsWithHits();
  }

  /** Of the instance in this slot. */
  countersOf(slot: number): InstanceCounters {
    return this.#native.countersOf(slot);
  }

  /** For the metrics. */
  measures(): GateMeasures {
    return this.#native.measures();
  }

  /** Seconds of the longest turn of the event loop since the last call. */
  takeLongestTurn(): number {
    return this.#native.takeLongestTurn();
  }

  /** How often it has reached each limit since it was started, in the order of `gateLimitNames`. */
  hitsOf(slot: number): readonly number[] {
    return this.#native.hitsOf(slot);
  }
}

/** The sentence for a uWebSockets.js that the gate cannot work with. */
export function bridgeBroken(step: string): Fault {
  return new Fault(
    'bridge-broken',
    `This build of uWebSockets.js cannot be used: ${step} failed (Node ${process.version}). ` +
      'Install the version that package-lock.json names: npm ci',
  );
}

import { InFlight } from '../concurrency/in-flight.js';
import { PacedQueue } from '../concurrency/paced-queue.js';
import { Fault } from '../errors.js';
import { type Caller, isRoot, slotOf, unregistered } from '../gate/caller.js';
import { noEndpoint, RequestCounts } from '../http/request-counts.js';
import type { IdentityIssuer } from '../identity/identity-issuer.js';
import type { Images } from '../images/image-library.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { LimitHits } from '../limits/limit-hits.js';
import { exceeds, type Limits } from '../limits/limits.js';
import type { Log } from '../log.js';
import type { Change } from '../model/changes.js';
import type { Instance } from '../model/instance.js';
import type { SourceImages } from '../sources/exported-images.js';
import { catchUp } from './events/catch-up.js';
import type { Listeners } from './events/listeners.js';
import type { GuestExchange } from './exchange.js';
import { endpoints } from './guest-endpoints.js';
import { type Errors, errors, errorsOf } from './guest-errors.js';
import { cut, GuestLog } from './guest-log.js';
import {
  type BodyReply,
  type EventsReply,
  type ExportReply,
  type IdentityReply,
  jwt,
  type ReadReply,
  type Reply,
  type StateReply,
} from './guest-reply.js';
import { GuestStates } from './guest-states.js';
import { ImageExports } from './images/image-exports.js';
import { InstanceRequests } from './instance-requests.js';
import { answer, find, isServed } from './route.js';
import { tokens } from './work.js';

/** How long a body or a change may take when the daemon stops: one slow guest must not delay all the others. */
const lastBodySeconds = 1;

/** Serves every request: finds the instance of its caller, and answers. */
export class GuestDispatcher {
  readonly #registry: Registry;
  readonly #running: RunningInstances;
  readonly #listeners: Listeners;
  readonly #identity: IdentityIssuer;
  readonly imageExports: ImageExports;
  readonly #catchingUp: PacedQueue;
  readonly #states: GuestStates;
  readonly #limits: Limits;
  readonly #log: Log;
  readonly #guestLog: GuestLog;
  readonly requests = new RequestCounts(endpoints, '200 OK');
  readonly limitHits: LimitHits;
  /** requests that need the store, or have not come whole */
  readonly inFlight = new InFlight();
  readonly instanceRequests = new InstanceRequests();
  readonly #errors: Errors;
  #failures = 0;

  /** sourceImages: of the source that is followed, if one is */
  constructor(
    registry: Registry,
    running: RunningInstances,
    listeners: Listeners,
    images: Images,
    identity: IdentityIssuer,
    limits: Limits,
    limitHits: LimitHits,
    log: Log,
    sourceImages?: SourceImages,
  ) {
    const guestLog = new GuestLog(log);
    this.#errors = errorsOf(sourceImages?.name); // for callers of no instance
    this.#registry = registry;
    this.#running = running;
    this.#listeners = listeners;
    this.#identity = identity;
    this.#limits = limits;
    this.limitHits = limitHits;
    this.imageExports = new ImageExports(images, sourceImages, limits, limitHits, guestLog);
    this.#catchingUp = new PacedQueue(
      { perSecond: () => limits['stored-requests-per-second'], burstSeconds: 10 },
      (id) => limitHits.add('stored-requests-per-second', id),
    );
    this.#states = new GuestStates(registry, limits, limitHits);
    this.#log = log;
    this.#guestLog = guestLog;
    running.on('stopped', ({ id }) => this.imageExports.end(id));
  }

  /** What is kept for instances that these changes delete or end. */
  forget(changes: readonly Change[]): void {
    for (const { before, after } of changes) {
      if (before === undefined || after?.run !== undefined) continue;
      this.#catchingUp.forget(before.id);
      this.#states.forget(before.id);
      if (after === undefined) this.instanceRequests.forget(before.id);
    }
  }

  limitsChanged(): void {
    this.imageExports.admit();
  }

  /** The store is about to close: what needs it ends. */
  async stop(): Promise<void> {
    this.#catchingUp.hurry();
    this.#states.hurry();
    await this.inFlight.ended(lastBodySeconds);
  }

  /** Waits for the readers of images, but not longer than that. */
  async linger(seconds: number): Promise<void> {
    await this.imageExports.linger(seconds);
  }

  /** Answers a request whose body is not read to its end. */
  refuseBody(exchange: GuestExchange): void {
    const caller = exchange.caller();
    this.limitHits.add('guest-body', caller < 0 ? undefined : this.#running.at(slotOf(caller))?.id);
    this.#write(exchange, errors.bodyTooLarge);
  }

  /** Never throws. */
  receive(exchange: GuestExchange): void {
    try {
      this.#serve(exchange);
    } catch (error) {
      this.#failed(exchange, error);
    }
  }

  #serve(exchange: GuestExchange): void {
    const caller = exchange.caller();
    const instance = caller < 0 ? undefined : this.#running.at(slotOf(caller));
    if (instance === undefined) {
      this.#unknown(exchange, caller);
      return;
    }
    const match = find(exchange.snapshot.path);
    const reply = answer(instance, isRoot(caller), exchange.snapshot, match);
    if (reply.kind === 'read') {
      this.#read(exchange, instance);
      return;
    }
    this.instanceRequests.add(instance.id);
    if (reply.kind === 'body' && reply.reached !== undefined)
      this.limitHits.add(reply.reached.limit, instance.id, 1, reply.reached.about);
    this.#reply(exchange, caller, instance, reply, match?.endpoint.path ?? noEndpoint);
  }

  /** Reads the body only when an identified caller may use the endpoint; then the request is served again, with it. */
  #read(exchange: GuestExchange, { id }: Instance): void {
    const tooLong = (): void => this.refuseBody(exchange);
    if (exceeds(this.#limits['guest-body'], exchange.bodyLength ?? 0)) tooLong();
    else exchange.readBody(id, () => this.receive(exchange), tooLong);
  }

  #later(exchange: GuestExchange, write: () => void): void {
    if (!exchange.aborted) exchange.later(write, (error) => this.#failed(exchange, error));
  }

  #reply(
    exchange: GuestExchange,
    caller: Caller,
    instance: Instance,
    reply: Exclude<Reply, ReadReply>,
    endpoint: string,
  ): void {
    if (this.#log.isLevelEnabled('debug')) this.#trace(exchange, instance.name, reply);
    if (reply.kind === 'events') this.#listen(exchange, slotOf(caller), instance, reply);
    else if (reply.kind === 'export') this.#export(exchange, slotOf(caller), instance, reply);
    else if (reply.kind === 'identity') this.#identify(exchange, slotOf(caller), instance, reply);
    else if (reply.kind === 'state') this.#setState(exchange, instance, reply);
    else exchange.write(reply, this.requests.add(endpoint, reply.status));
  }

  /** What is read from the store is read one at a time for each instance, and not too often. */
  #inTurn(exchange: GuestExchange, instanceId: number, work: () => Promise<void>): void {
    exchange.watch();
    const failed = (error: unknown): void => this.#later(exchange, () => this.#failed(exchange, error));
    const wanted = (): boolean => !exchange.aborted;
    this.inFlight.add(this.#catchingUp.take(instanceId, wanted, () => work().catch(failed)));
  }

  /** Also when the guest does not wait for the answer. */
  #setState(exchange: GuestExchange, instance: Instance, { state, answer: reply }: StateReply): void {
    exchange.watch();
    exchange.charge(tokens.stateChange);
    const { project, name } = instance;
    const stored = this.#states.set(instance, state).then(
      (same) => {
        this.#log.debug({ instance: name, project, state }, 'guest state');
        this.#later(exchange, () => this.#write(exchange, same ? reply : this.#errors.unknownCaller));
      },
      (error: unknown) => this.#later(exchange, () => this.#failed(exchange, error)),
    );
    this.inFlight.add(stored);
  }

  /** Signing takes a thread for a moment; the instance may have stopped, or been switched off, in the meantime. */
  #identify(exchange: GuestExchange, slot: number, instance: Instance, wanted: IdentityReply): void {
    exchange.watch();
    exchange.charge(tokens.signature);
    const failed = (error: unknown): void => this.#later(exchange, () => this.#failed(exchange, error));
    const signed = this.#identity.issue(instance, wanted).then((token) => {
      const now = this.#running.at(slot);
      const isStill = now?.id === instance.id && isServed(now);
      this.#later(exchange, () => this.#write(exchange, isStill ? jwt(token) : errorsOf(instance.source).forbidden));
    });
    this.inFlight.add(signed.catch(failed));
  }

  #export(exchange: GuestExchange, slot: number, instance: Instance, reply: ExportReply): void {
    const refused = this.imageExports.send(exchange, slot, instance, reply, (status) => this.#count(exchange, status));
    if (refused !== undefined) this.#write(exchange, refused);
  }

  #listen(exchange: GuestExchange, slot: number, instance: Instance, { types, since }: EventsReply): void {
    if (since !== undefined) {
      this.#inTurn(exchange, instance.id, () => this.#catchUp(exchange, slot, instance, types, since));
      return;
    }
    this.#count(exchange, '200 OK');
    exchange.stream({ instanceId: instance.id, slot, types, missed: [] });
  }

  /** Begins with what was missed. */
  #catchUp(
    exchange: GuestExchange,
    slot: number,
    { id: instanceId, source }: Instance,
    types: EventsReply['types'],
    since: string,
  ): Promise<void> {
    const { forbidden, gone } = errorsOf(source);
    const missedEvents = { instanceId, types, since, mostBytes: this.#limits['event-backlog'] };
    return catchUp(this.#registry, this.#listeners, missedEvents, (missed, ended) =>
      this.#later(exchange, () => {
        const instance = this.#running.at(slot);
        if (instance?.id !== instanceId || !isServed(instance) || ended) this.#write(exchange, forbidden);
        else if (missed === undefined) this.#write(exchange, gone);
        else {
          this.#count(exchange, '200 OK');
          exchange.stream({ instanceId, slot, types, missed });
        }
      }),
    );
  }

  /** An instance that is not there has ended just now. */
  #unknown(exchange: GuestExchange, caller: Caller): void {
    if (caller < 0) this.limitHits.add(caller === unregistered ? 'hold-seconds' : 'unidentified');
    // Not more than debug: anyone on the host may cause as many of these as they like.
    const peer = exchange.credentials();
    this.#log.debug({ ...peer, path: cut(exchange.snapshot.path) }, 'caller belongs to no registered instance');
    this.#write(exchange, this.#errors.unknownCaller);
  }

  /** An answer that cannot be written either is nothing that the next request should suffer from. */
  #failed(exchange: GuestExchange, error: unknown): void {
    const request = ++this.#failures;
    const { method, path, query } = exchange.snapshot;
    const stopping = error instanceof Fault && error.code === 'store-closed';
    if (!stopping) this.#guestLog.error({ err: error, request, method, path, query }, 'guest request failed');
    if (exchange.aborted) return;
    try {
      this.#write(exchange, stopping ? this.#errors.stopping : this.#errors.internal);
    } catch (second) {
      this.#guestLog.error({ err: second, request, method, path, query }, 'guest request not answered');
    }
  }

  /** For answers that were not counted when they were made. */
  #write(exchange: GuestExchange, reply: BodyReply): void {
    exchange.write(reply, this.#count(exchange, reply.status));
  }

  #count({ snapshot }: GuestExchange, status: string): number {
    return this.requests.add(find(snapshot.path)?.endpoint.path ?? noEndpoint, status);
  }

  #trace({ snapshot }: GuestExchange, instance: string, reply: Reply): void {
    const outcome = reply.kind === 'body' ? reply.status : reply.kind;
    const [method, path] = [cut(snapshot.method), cut(snapshot.path)];
    this.#log.debug({ instance, method, path, outcome }, 'guest request');
  }
}

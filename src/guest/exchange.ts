import type { Caller } from '../gate/caller.js';
import type { Credentials } from '../gate/gate.js';
import type { RawConnection } from '../images/transmit.js';
import type { EventType, GuestEvent } from '../model/guest-events.js';
import type { BodyReply } from './guest-reply.js';
import type { RequestSnapshot } from './route.js';

/** A request on its way to its answer, whichever edge it came in by. */
export interface GuestExchange {
  readonly snapshot: RequestSnapshot;
  /** bytes of its body; undefined: it comes in chunks, of which the last one says that it is */
  readonly bodyLength: number | undefined;
  /** the caller has gone, or has been answered: nothing may be written */
  readonly aborted: boolean;
  /** Does the caller understand a body that comes in chunks? */
  readonly chunks: boolean;
  /** Whose it is. */
  caller(): Caller;
  /** Charges the caller's instance for work besides its requests; src/guest/work.ts. */
  charge(tokens: number): void;
  /** For the log. */
  credentials(): Credentials | undefined;
  /** Reads the body into the snapshot, up to the limit; tooLong: it is longer. */
  readBody(instanceId: number, done: () => void, tooLong: () => void): void;
  /** From here on the answer may come later. */
  watch(): void;
  /** Runs what writes, when that is not done at once; what is thrown goes to failed. */
  later(write: () => void, failed: (error: unknown) => void): void;
  /** kind: of its endpoint and status; should the answer be given again, it counts as this */
  write(reply: BodyReply, kind: number): void;
  /** The connection itself, for an answer that is no body; the one that takes it closes it. undefined: no descriptor is left. */
  takeConnection(slot: number): RawConnection | undefined;
  /** Becomes a stream of events that begins with what was missed. */
  stream(opening: Opening): void;
}

export interface Opening {
  readonly instanceId: number;
  readonly slot: number;
  readonly types: ReadonlySet<EventType>;
  readonly missed: readonly GuestEvent[];
}

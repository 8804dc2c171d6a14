import { limitDeclarations } from '../../src/limits/limits.js';

/** What guests, and users of the host, can take of it at most. */
export interface Taken {
  readonly memoryMegabytes: number;
  readonly descriptors: number;
  readonly logBytesPerMinute: number;
  readonly diskBytesPerMinute: number;
}

/** Of one connection, whether it is the first part of a head, or what was sent ahead: native/gate/request_reader.cc. */
const heldBytes = 128 * 1024;
/** One long read of each instance, and of each budget of users of the host. */
const [longRead, budgetsOfUsers] = [512 * 1024, 256];
/** Of one change of a guest's state, with the log of the store. */
const bytesOfState = 13 * 1024;
/** Lines about limits in a minute, and other lines that guests cause, with the bytes of one: docs/limits.md. */
const [limitLines, limitLine, otherLines, otherLine] = [6 * 21, 512, 6 * 11, 4096];

/** The sum of the limits, with their defaults: docs/limits.md, "What one can take". */
export function sumsOf(instances: number): Taken {
  const limit = (name: keyof typeof limitDeclarations): number => limitDeclarations[name].default;
  const ofNone = limit('connections-unregistered') + limit('connections-unidentified') + limit('pending-callers');
  const connections = instances * limit('connections-per-instance') + ofNone;
  const unread = limit('event-backlog-total') + limit('unread-answers-total');
  const longReads = (instances + budgetsOfUsers) * longRead;
  const memory = connections * heldBytes + longReads + unread + limit('guest-body-total');
  // A minute's worth of states may come at once.
  const states = instances * 2 * limit('state-writes-per-minute');
  return {
    memoryMegabytes: Math.round(memory / 2 ** 20),
    descriptors: connections + instances,
    logBytesPerMinute: limitLines * limitLine + otherLines * otherLine,
    diskBytesPerMinute: states * bytesOfState,
  };
}

/** The lines of the log that guests and users of the host cause. */
export const guestLines: ReadonlySet<string> = new Set([
  'limit reached',
  'limits reached by more instances',
  'more such lines were left out',
  'guest request failed',
  'guest request not answered',
  'image export failed',
  'images of the source cannot be had',
  'operator refused',
]);

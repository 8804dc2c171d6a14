import { refused, seconds } from '../support/request-kinds.js';
import type { Stream } from './streams.js';

const value = 'GET /1.0/config/user.mark HTTP/1.1\r\nHost: lxd\r\n\r\n';

function goodbye(...pieces: string[]): Stream {
  return { pieces: pieces.map((piece) => Buffer.from(piece, 'latin1')), end: 'goodbye' };
}

/** Streams that were answered wrongly once. */
export const corpus: readonly Stream[] = [
  // uWebSockets took a request line that comes in pieces for one of another version: 505.
  goodbye(value.slice(0, 10), value.slice(10)),
  goodbye(value, value.slice(0, 10), value.slice(10)),
  // Half a request in absolute form kept its connection for ever.
  goodbye('GET http://lxd/1.0 HT'),
  // A large answer to a guest that has gone ended the process.
  ...Array.from({ length: 20 }, (): Stream => ({ ...goodbye(value.replace('mark', 'big')), end: 'gone' })),
  // endWithoutBody(length) ended the process.
  goodbye('HEAD /1.0 HTTP/1.1\r\nHost: lxd\r\n\r\n'),
];

/** Requests that are sent three ways before the random ones. */
export const requests: readonly Buffer[] = [seconds, refused]
  .flatMap((kinds) => Object.values(kinds))
  .map(([request]) => Buffer.from(request, 'latin1'));

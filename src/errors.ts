/**
 * Every fault that a caller can meet: a stable code, the HTTP status it becomes, and what to do about it in
 * docs/errors.md. The sentence is written where the fault is found.
 */
export const faults = {
  'invalid-value': 400,
  'not-found': 404,
  'already-exists': 409,
  'not-running': 400,
  'already-running': 400,
  'in-use': 400,
  'belongs-to-source': 409,
  'cannot-register': 400,
  'shares-namespace': 400,
  forbidden: 403,
  'not-implemented': 501,
  'body-too-large': 413,
  'websocket-version': 426,
  'etag-mismatch': 412,
  'store-full': 507,
  'store-failed': 500,
  'store-closed': 503,
  'store-locked': 500,
  'store-newer': 500,
  'store-damaged': 500,
  'sqlite-broken': 500,
  'socket-in-use': 500,
  'bad-socket': 500,
  'takeover-refused': 400,
  'bridge-broken': 500,
  'no-daemon': 503,
  'fleet-away': 503,
} as const;

export type FaultCode = keyof typeof faults;

/** Sentences quote what was sent, which may be megabytes. */
const longestSentence = 1000;

/** An expected failure: it is answered with its sentence, never logged as a surprise. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly status: number;

  constructor(code: FaultCode, sentence: string, cause?: unknown) {
    super(
      sentence.length <= longestSentence ? sentence : `${sentence.slice(0, longestSentence)}…`,
      cause === undefined ? undefined : { cause },
    );
    this.name = 'Fault';
    this.code = code;
    this.status = faults[code];
  }
}

/** A bad value in what the operator sent; field says which, in the words of the API. */
export function invalid(field: string, sentence: string): Fault {
  return new Fault('invalid-value', `${field}: ${sentence}`);
}

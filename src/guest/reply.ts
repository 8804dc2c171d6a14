import type { Conditions, Download } from '../images/download.js';
import type { EventType } from '../instances/events.js';
import type { Instance } from '../instances/model.js';

/** What a handler answers. Only an edge turns it into bytes. */
export type Reply = BodyReply | EventsReply | ChangeReply | ExportReply;

export interface BodyReply {
  readonly kind: 'body';
  readonly status: Status;
  /** Content-Type */
  readonly type: string;
  readonly body: string;
}

/** An endless stream: a WebSocket, or chunks, as the caller asked. */
export interface EventsReply {
  readonly kind: 'events';
  readonly types: ReadonlySet<EventType>;
  /** what came after this timestamp is sent first */
  readonly since: string | undefined;
}

/** An image, if guests may have it; else the answer that there is none. */
export interface ExportReply {
  readonly kind: 'export';
  readonly fingerprint: string;
  readonly conditions: Conditions;
}

export type Status = '200 OK' | `4${number} ${string}` | `5${number} ${string}`;

export const jsonType = 'application/json';
// With the charset: without it cloud-init 22.4 guesses one, slowly and wrongly.
const rawType = 'application/octet-stream; charset=utf-8';
const errorType = 'text/plain; charset=utf-8';

export function json(value: unknown): BodyReply {
  return { kind: 'body', status: '200 OK', type: jsonType, body: `${JSON.stringify(value)}\n` };
}

export function raw(body: string): BodyReply {
  return { kind: 'body', status: '200 OK', type: rawType, body };
}

/** A change of the asking instance: answer is given once it is durable. */
export interface ChangeReply {
  readonly kind: 'change';
  /** the instance as it is then -> as it shall be; the same object: nothing to do */
  readonly change: (before: Instance) => Instance;
  readonly answer: BodyReply;
}

export function badRequest(sentence: string): BodyReply {
  return failure('400 Bad Request', sentence);
}

function failure(status: Status, sentence: string): BodyReply {
  return { kind: 'body', status, type: errorType, body: `${sentence}\n` };
}

/** An error of the images' endpoint, which has the form of LXD's main API (lxd/response, errorResponse). */
function imageFailure(status: Status, code: number, sentence: string): BodyReply {
  const envelope = { type: 'error', status: '', status_code: 0, operation: '', error_code: code, error: sentence };
  return { ...json({ ...envelope, metadata: null }), status };
}

/** The head of an answer after which the connection is closed. */
export function rawAnswer(status: string, headers: Download['headers']): Buffer {
  const lines = [...headers, ['Connection', 'close']].map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`);
}

/** The errors of the guest API. Clients show or compare these sentences. */
export const errors = {
  badRequest: failure('400 Bad Request', 'Bad Request'),
  notRoot: failure('401 Unauthorized', 'Access denied for non-root user'),
  forbidden: failure('403 Forbidden', 'Forbidden'),
  gone: failure('410 Gone', 'Gone'),
  noProToken: failure('403 Forbidden', 'Failed getting an Ubuntu Pro guest token: Guest attachment not allowed'),
  bodyTooLarge: failure('413 Payload Too Large', 'Request body too large'),
  notFound: failure('404 Not Found', 'Not Found'),
  unknownCaller: failure('500 Internal Server Error', 'Process ID not found in container'),
  imagesForbidden: imageFailure('403 Forbidden', 403, 'Forbidden'),
  noSuchImage: imageFailure('404 Not Found', 404, 'Not Found'),
  imageUnreadable: imageFailure('500 Internal Server Error', 500, 'Internal Server Error'),
  internal: failure('500 Internal Server Error', 'Internal Server Error'),
  notImplemented: failure('501 Not Implemented', 'Not Implemented'),
} as const;

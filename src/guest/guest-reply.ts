import type { IdentityRequest } from '../identity/identity-issuer.js';
import type { Conditions, Download } from '../images/download.js';
import type { About, CountedLimit } from '../limits/limit-hits.js';
import type { EventType } from '../model/guest-events.js';
import type { GuestState } from '../model/instance.js';

/** What a handler answers. Only an edge turns it into bytes. */
export type Reply = BodyReply | EventsReply | StateReply | ExportReply | IdentityReply | ReadReply;

/** The request may be answered, but not before its body has been read. */
export interface ReadReply {
  readonly kind: 'read';
}

export interface BodyReply {
  readonly kind: 'body';
  readonly status: Status;
  /** Content-Type */
  readonly type: string;
  readonly body: string;
  /** a limit that shows in the answer */
  readonly reached?: { readonly limit: CountedLimit; readonly about: About };
  /** only for HEAD: the body would have no length */
  readonly endless?: true;
  /** closes the connection, except for HEAD: the next one is identified again */
  readonly closes?: true;
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

/** An identity document of the asking instance, signed for this request alone. */
export interface IdentityReply extends IdentityRequest {
  readonly kind: 'identity';
}

export type Status = '200 OK' | `4${number} ${string}` | `5${number} ${string}`;

export const jsonType = 'application/json';
// With the charset: without it cloud-init 22.4 guesses one, slowly and wrongly.
const rawType = 'application/octet-stream; charset=utf-8';

export function json(value: unknown): BodyReply {
  return { kind: 'body', status: '200 OK', type: jsonType, body: `${JSON.stringify(value)}\n` };
}

/** An identity document (RFC 7519, section 10.3.1). */
export function jwt(body: string): BodyReply {
  return { kind: 'body', status: '200 OK', type: 'application/jwt', body };
}

export function raw(body: string): BodyReply {
  return { kind: 'body', status: '200 OK', type: rawType, body };
}

/** What the instance says of itself: answer is given once it is durable. */
export interface StateReply {
  readonly kind: 'state';
  readonly state: GuestState;
  readonly answer: BodyReply;
}

/** May it be given again until the instance changes, if it is none about images? */
export function dependsOnInstanceAlone({ status }: BodyReply): boolean {
  return !status.startsWith('5');
}

/** Status line and headers, each with its CRLF, without Date and Content-Length, as uWebSockets writes them. */
export function headOf({ status, type }: BodyReply): string {
  const known = status === '200 OK' ? okHeads.get(type) : undefined;
  return known ?? headWith(status, type);
}

function headWith(status: Status, type: string): string {
  const nosniff = status === '200 OK' ? '' : 'X-Content-Type-Options: nosniff\r\n';
  return `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\n${nosniff}`;
}

const okHeads = new Map([jsonType, rawType].map((type) => [type, headWith('200 OK', type)]));

/** The head of an answer after which the connection is closed. headers: each byte a character, as Node reads them */
export function rawAnswer(status: string, headers: Download['headers']): Buffer {
  const lines = [...headers, ['Connection', 'close']].map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`, 'latin1');
}

/** The whole of such an answer, which is an error. headOnly: the head of it */
export function rawReply({ status, type, body }: BodyReply, headOnly = false): Buffer {
  const headers = [
    ['Content-Type', type],
    ['Content-Length', `${Buffer.byteLength(body)}`],
    ['X-Content-Type-Options', 'nosniff'],
  ] as const;
  const head = rawAnswer(status, headers);
  return headOnly ? head : Buffer.concat([head, Buffer.from(body)]);
}

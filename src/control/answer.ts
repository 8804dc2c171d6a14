import { STATUS_CODES } from 'node:http';
import { asyncEnvelope, errorEnvelope, type ShortReply, syncEnvelope } from './control-reply.js';

/** What is answered in one piece. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  /** beside Content-Type and Content-Length */
  readonly headers: Readonly<Record<string, string>>;
}

/** How long a connection that has been answered waits for its next request. */
export const idleSeconds = 5;

const none: Answer['headers'] = {};

export function answerOf(reply: ShortReply): Answer {
  if (reply.kind === 'sync') {
    const { metadata, etag, location } = reply;
    const headers = { ...(etag === undefined ? none : { ETag: etag }), ...(location && { Location: location }) };
    return envelope(location === undefined ? 200 : 201, syncEnvelope(metadata), headers);
  }
  if (reply.kind === 'async') {
    return envelope(202, asyncEnvelope(reply.operation), { Location: `/1.0/operations/${reply.operation.id}` });
  }
  const { type, text, etag } = reply;
  return { status: 200, type, text, headers: etag === undefined ? none : { ETag: etag } };
}

export function errorAnswer(status: number, sentence: string): Answer {
  return envelope(status, errorEnvelope(status, sentence), none);
}

function envelope(status: number, content: object, headers: Answer['headers']): Answer {
  return { status, type: 'application/json', text: `${JSON.stringify(content)}\n`, headers };
}

/** Head and body for a connection that goes on, as node:http would write them. */
export function textOf({ status, type, text, headers }: Answer): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
  head += `Content-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`;
  return `${head}Date: ${date()}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${idleSeconds}\r\n\r\n${text}`;
}

let [dated, ofSecond] = ['', 0];

function date(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== ofSecond) [dated, ofSecond] = [new Date(second * 1000).toUTCString(), second];
  return dated;
}

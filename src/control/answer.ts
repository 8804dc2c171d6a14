import { STATUS_CODES } from 'node:http';
import { asyncEnvelope, done, errorEnvelope, type ShortReply, syncEnvelope } from './control-reply.js';

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

/** To a change that leaves nothing to say. */
const doneAnswer = envelope(200, syncEnvelope({}), none);

export function answerOf(reply: ShortReply): Answer {
  if (reply === done) return doneAnswer;
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

/** Head and body for a connection that goes on, as node:http would write them. length: of the text, in bytes */
export function textOf(answer: Answer, length: number): string {
  const end = endOfHead();
  if (answer !== doneAnswer) return `${beginOf(answer)}${length}${end}${answer.text}`;
  if (end !== doneEnd) [doneEnd, doneText] = [end, `${beginOf(answer)}${length}${end}${answer.text}`];
  return doneText;
}

function beginOf({ status, type, headers }: Answer): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
  return `${head}Content-Type: ${type}\r\nContent-Length: `;
}

/** Most changes are answered by this. */
let [doneEnd, doneText] = ['', ''];
let [end, ofSecond] = ['', 0];

/** What follows the length, and is the same for a second. */
function endOfHead(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second === ofSecond) return end;
  const date = new Date(second * 1000).toUTCString();
  ofSecond = second;
  end = `\r\nDate: ${date}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${idleSeconds}\r\n\r\n`;
  return end;
}

import parseRange from 'range-parser';
import { badRequest } from '../../src/guest/guest-errors.js';
import { type Body, type Head, readBody, readHead } from './grammar.js';

/** A guest as the model knows it. */
export interface ModelGuest {
  /** its other users get 401; a caller of no instance gets 500 */
  readonly caller: 'root' | 'user' | 'unknown';
  /** the bodies that are answered, by path; `"state"` is left open */
  readonly json: ReadonlyMap<string, string>;
  readonly raw: ReadonlyMap<string, string>;
  /** the one that it may export */
  readonly image: { readonly fingerprint: string; readonly bytes: Buffer };
}

/** What must come. Headers by name in lower case; only the ones that are told here count. */
export interface Expected {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** latin1; undefined: whatever comes is of a stream or a WebSocket */
  readonly body: string | undefined;
  /** HEAD: the length is told, and the body is not there */
  readonly isHead?: true;
  /** a faulty body may have been seen before, or after, the answer was given */
  readonly orRefused?: true;
}

/** How the connection is left: it waits for a request, is in the middle of one, has ended, or is something else. */
export type Left = 'open' | 'partial' | 'closed' | 'detached';

export interface Prediction {
  readonly answers: readonly Expected[];
  readonly left: Left;
}

const text = 'text/plain; charset=utf-8';
const json = 'application/json';
const raw = 'application/octet-stream; charset=utf-8';
const mostBody = 64 * 1024;

function answered(status: number, type: string, body: string): Expected {
  const nosniff = status === 200 ? undefined : { 'x-content-type-options': 'nosniff' };
  return { status, headers: { 'content-type': type, 'content-length': `${body.length}`, ...nosniff }, body };
}

function failed(status: number, sentence: string): Expected {
  return answered(status, text, `${sentence}\n`);
}

const reasons = { 400: 'Bad Request', 431: 'Request Header Fields Too Large', 501: 'Not Implemented' } as const;

function refused(status: keyof typeof reasons): Expected {
  return withHeader(failed(status, reasons[status]), 'close');
}

function withHeader(expected: Expected, connection: string): Expected {
  return { ...expected, headers: { ...expected.headers, connection } };
}

function ofImages(status: number, sentence: string): Expected {
  const envelope = { type: 'error', status: '', status_code: 0, operation: '', error_code: status, error: sentence };
  return answered(status, json, `${JSON.stringify({ ...envelope, metadata: null })}\n`);
}

/** What the daemon must answer to these bytes, however they are cut. */
export function predict(guest: ModelGuest, bytes: Buffer): Prediction {
  const answers: Expected[] = [];
  let rest = bytes.toString('latin1');
  for (;;) {
    const read = readHead(rest);
    if (read.outcome === 'partial')
      return { answers, left: rest.replace(/^(?:\r?\n)+/, '') === '' ? 'open' : 'partial' };
    if (read.outcome === 'refused') return { answers: [...answers, refused(read.status)], left: 'closed' };
    const { answer, left, rest: behind } = one(guest, read.head, read.rest);
    if (answer !== undefined) answers.push(answer);
    if (left !== 'open') return { answers, left };
    rest = behind;
  }
}

interface Served {
  readonly answer: Expected | undefined;
  readonly left: Left;
  readonly rest: string;
}

function one(guest: ModelGuest, head: Head, text: string): Served {
  const body = readBody(text, head.length);
  const isRead = guest.caller === 'root' && head.method === 'PATCH' && /^\/1\.0\/?$/.test(head.path);
  return isRead ? withBody(head, body) : withoutBody(guest, head, body);
}

/** The body is read, and then answered. */
function withBody(head: Head, body: Body): Served {
  if (Math.max(head.length ?? 0, body.content.length) > mostBody)
    return ended(head, failed(413, 'Request body too large'), true, '');
  if (body.outcome === 'bad') return { answer: refused(400), left: 'closed', rest: '' };
  if (body.outcome === 'partial') return { answer: undefined, left: 'partial', rest: '' };
  return ended(head, stateAnswer(body.content), false, body.rest);
}

/** It is answered, and what comes of its body is read past, or ends the connection. */
function withoutBody(guest: ModelGuest, head: Head, body: Body): Served {
  const right = answerTo(guest, head);
  const answer = body.outcome === 'bad' ? { ...right, orRefused: true as const } : right;
  if (answer.body === undefined) return { answer, left: 'detached', rest: '' };
  const waits = head.length !== 0 && (head.headers.get('expect') ?? '') !== '';
  const leavesBody = head.length === undefined || head.length > mostBody || waits;
  const isLast = (leavesBody || guest.caller === 'unknown') && head.method !== 'HEAD';
  const served = ended(head, answer, isLast || isExport(answer), body.rest);
  if (body.outcome === 'bad') return { ...served, left: 'closed' };
  return body.outcome === 'partial' && served.left === 'open' ? { ...served, left: 'partial' } : served;
}

function isExport({ headers }: Expected): boolean {
  return headers['connection'] === 'close';
}

/** With what its version and the client's wishes add. A client that says itself that it closes is not told so. */
function ended(head: Head, answer: Expected, closes: boolean, rest: string): Served {
  const ends = closes || head.closes;
  const keeps = head.isHttp10 && !head.closes ? 'keep-alive' : undefined;
  const connection = closes && !(head.closes && answer.headers['connection'] === undefined) ? 'close' : keeps;
  const told = connection === undefined ? answer : withHeader(answer, connection);
  return { answer: head.method === 'HEAD' ? { ...told, isHead: true } : told, left: ends ? 'closed' : 'open', rest };
}

function stateAnswer(body: string): Expected {
  const sentence = stateFault(Buffer.from(body, 'latin1').toString('utf8'));
  if (sentence === undefined) return answered(200, raw, '');
  return answered(400, text, Buffer.from(badRequest(sentence).body).toString('latin1'));
}

function stateFault(body: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null) return 'Invalid request body: not a JSON object';
    const given = Object.hasOwn(parsed, 'state') ? (parsed as { state: unknown }).state : '';
    if (typeof given !== 'string') return 'Invalid request body: state is not a string';
    return given === 'Ready' || given === 'Started' ? undefined : `Invalid state ${JSON.stringify(given)}`;
  } catch (error) {
    return `Invalid request body: ${(error as Error).message}`;
  }
}

const key = /^\/1\.0\/config\/([^/]+)$/;
const image = /^\/1\.0\/images\/([^/]+)\/export$/;

function answerTo(guest: ModelGuest, head: Head): Expected {
  if (guest.caller === 'unknown') return failed(500, 'Process ID not found in container');
  if (guest.caller === 'user') return failed(401, 'Access denied for non-root user');
  const path = head.path === '/1.0/' ? '/1.0' : head.path;
  const isGet = head.method === 'GET' || head.method === 'HEAD';
  const known = [guest.json, guest.raw].some((bodies) => bodies.has(path)) || path === '/1.0/events';
  const isToken = path === '/1.0/ubuntu-pro/token';
  if (!known && !isToken && !key.test(path) && !image.test(path)) return failed(404, 'Not Found');
  if (isToken && head.method === 'POST')
    return failed(403, 'Failed getting an Ubuntu Pro guest token: Guest attachment not allowed');
  if (isToken || !isGet) return failed(501, 'Not Implemented');
  if (path === '/1.0/events') return eventsAnswer(head);
  if (image.test(path)) return imageAnswer(guest, head, path);
  const found = guest.json.get(path);
  if (found !== undefined) return answered(200, json, found);
  return guest.raw.has(path) ? answered(200, raw, guest.raw.get(path) as string) : keyAnswer(guest, path);
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

function keyAnswer(guest: ModelGuest, path: string): Expected {
  const name = decoded(key.exec(path)?.[1] ?? '');
  if (name === undefined) return failed(400, 'Bad Request');
  if (!/^(?:user|cloud-init)\./.test(name)) return failed(403, 'Forbidden');
  const value = guest.raw.get(`/1.0/config/${name}`);
  return value === undefined ? failed(404, 'Not Found') : answered(200, raw, value);
}

function eventsAnswer({ method, query, headers, isHttp10 }: Head): Expected {
  const since = new URLSearchParams(query).get('since');
  if (since !== null && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(since)) return failed(400, 'Bad Request');
  if (method === 'HEAD') return { status: 200, headers: { 'content-type': json }, body: '' };
  const isUpgrade = !isHttp10 && headers.get('sec-websocket-key')?.length === 24;
  if (!isUpgrade) return { status: 200, headers: { 'content-type': json }, body: undefined };
  if (headers.get('sec-websocket-version') === '13') return { status: 101, headers: {}, body: undefined };
  const body = 'Upgrade Required\n';
  return { status: 426, headers: { 'content-type': text, 'content-length': `${body.length}` }, body };
}

function imageAnswer({ image: { fingerprint, bytes } }: ModelGuest, head: Head, path: string): Expected {
  const asked = decoded(image.exec(path)?.[1] ?? '');
  if (asked === undefined) return failed(400, 'Bad Request');
  if (asked !== fingerprint) return ofImages(404, 'Not Found');
  const closing = { connection: 'close', etag: `"${fingerprint}"` };
  const tags = (head.headers.get('if-none-match') ?? '').split(',').map((tag) => tag.trim());
  if (tags.includes('*')) return { status: 304, headers: closing, body: '' };
  const ranges = parseRange(bytes.length, head.headers.get('range') ?? '');
  if (ranges === -1) return { status: 416, headers: { connection: 'close', 'content-length': '0' }, body: '' };
  const [only] = Array.isArray(ranges) && ranges.type === 'bytes' && ranges.length === 1 ? ranges : [];
  const body = bytes.subarray(only?.start ?? 0, only === undefined ? bytes.length : only.end + 1).toString('latin1');
  const headers = { ...closing, 'content-length': `${body.length}` };
  return { status: only === undefined ? 200 : 206, headers, body };
}

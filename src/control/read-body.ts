import type { IncomingMessage } from 'node:http';
import { Turn } from '../concurrency/turn.js';
import { Fault, invalid } from '../errors.js';
import { LimitFault } from '../limits/limit-fault.js';
import { exceeds, type Limits } from '../limits/limits.js';
import { checkUtf8, JsonScan } from './json-scan.js';
import { Lines, linesType } from './ndjson.js';

type Headers = Readonly<{ 'content-type'?: string | undefined }>;

/** Bytes that take no time. */
const small = 16 * 1024;

/**
 * What a request carries: JSON as its value, NDJSON as Lines, nothing as undefined.
 * @throws Fault body-too-large, or invalid-value with the field or the line that is wrong
 */
export async function readBody(request: IncomingMessage, limits: Limits): Promise<unknown> {
  const isLines = hasLines(request.headers);
  const body = await receive(request, limits, new JsonScan(limits, isLines));
  checkUtf8(body, limits, isLines);
  return isLines ? await Lines.of(body) : parseJson(body.toString('utf8'));
}

/** Is the body NDJSON? */
export function hasLines({ 'content-type': type }: Headers): boolean {
  return type?.split(';', 1)[0]?.trim() === linesType; // charset: it is UTF-8 anyway
}

/**
 * The same of JSON that is there already.
 * @throws Fault body-too-large, or invalid-value with the field that is wrong
 */
export function parseBody(body: Buffer, limits: Limits): unknown {
  if (body.length === 0) return undefined;
  checkLength(body.length, limits['control-body']);
  if (mayBeTooMuch(body, limits)) new JsonScan(limits, false).add(body);
  checkUtf8(body, limits, false);
  return parseJson(body.toString('utf8'));
}

const [openObject, openArray] = [0x7b, 0x5b];

/** Not what is shorter than the shortest thing that a scan refuses. */
function mayBeTooMuch(body: Buffer, limits: Limits): boolean {
  if (exceeds(limits['config-key'], body.length) || exceeds(limits['json-values'], body.length)) return true;
  let opened = 0;
  for (let at = 0; at < body.length; at++) if (body[at] === openObject || body[at] === openArray) opened++;
  return exceeds(limits['json-depth'], opened);
}

/** By events: an asynchronous iterator costs as much as all the rest of a small request. */
function receive(request: IncomingMessage, limits: Limits, scan: JsonScan): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      const turn = length > small ? new Turn() : undefined;
      try {
        checkLength(length, limits['control-body']);
        scan.add(chunk);
        chunks.push(chunk);
        if (turn !== undefined) inTurns(request, turn);
      } catch (error) {
        request.removeAllListeners('data').pause();
        reject(error);
      }
    });
    request.on('end', () => {
      const [first = Buffer.alloc(0), ...others] = chunks;
      resolve(others.length === 0 ? first : Buffer.concat(chunks));
    });
    request.on('error', () => reject(cutOff()));
  });
}

/** Of a client that left, or closed its side, in the middle of what it sent: nothing that the daemon's log has to tell. */
export function cutOff(): Fault {
  return invalid('body', 'the connection ended before all of it had come');
}

/** Of a long body megabytes come in one turn of the event loop, unless they are kept from coming. */
function inTurns(request: IncomingMessage, turn: Turn): void {
  const pause = turn.end();
  if (pause === undefined) return;
  request.pause();
  void pause.then(() => request.resume());
}

function checkLength(length: number, most: number): void {
  if (!exceeds(most, length)) return;
  const sentence = `The body is longer than ${most} bytes (--limit-control-body)`;
  throw new LimitFault('control-body', 'body-too-large', sentence);
}

function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Fault('invalid-value', `The body is not JSON: ${(error as Error).message}`);
  }
}

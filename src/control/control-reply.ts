import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Fault } from '../errors.js';
import type { Download } from '../images/download.js';
import type { OpenImage } from '../images/image-files.js';
import type { Requestor } from '../model/changes.js';
import type { Operation } from './operations.js';

/** What fits into one piece. */
export type ShortReply =
  | { readonly kind: 'sync'; readonly metadata: unknown; readonly etag?: string; readonly location?: string }
  | { readonly kind: 'async'; readonly operation: Operation }
  | { readonly kind: 'text'; readonly type: string; readonly text: string; readonly etag?: string };

/** What is sent as its reader takes it. */
export type LongReply =
  | { readonly kind: 'pieces'; readonly type: string; readonly pieces: Pieces; readonly etag?: string }
  | { readonly kind: 'stream'; readonly type: string; readonly length: number; readonly stream: Readable }
  | { readonly kind: 'download'; readonly download: Download; readonly opened: OpenImage };

/** What a handler of the host API answers; errors are thrown as Fault. */
export type ControlReply = ShortReply | LongReply;

export function isLong(reply: ControlReply): reply is LongReply {
  return reply.kind === 'pieces' || reply.kind === 'stream' || reply.kind === 'download';
}

/** Of a body. What is in one is overwritten when the next one is asked for. */
export type Pieces = AsyncIterable<Uint8Array>;

export interface ControlRequest {
  /** segments of the path that stood for {names}, percent-decoded */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** the parsed JSON; undefined when there was none */
  readonly body: unknown;
  readonly requestor: Requestor;
}

export type ControlHandler = (request: ControlRequest) => ControlReply | Promise<ControlReply>;

/** Reads the body itself. */
export type UploadHandler = (request: ControlRequest, incoming: IncomingMessage) => Promise<ControlReply>;

export function sync(metadata: unknown, etag?: string): ControlReply {
  return { kind: 'sync', metadata, ...(etag === undefined ? {} : { etag }) };
}

/** A change was made, and there is nothing to say of it. */
export const done: ShortReply = { kind: 'sync', metadata: {} };

/** A thing was made, and this is where. */
export function created(location: string): ControlReply {
  return { kind: 'sync', metadata: {}, location };
}

/** LXD's entity tag: a hash over what a PUT may change. */
export function etagOf(value: unknown): string {
  return etagOfText(JSON.stringify(value));
}

/** text: the JSON of what a PUT may change */
export function etagOfText(text: string): string {
  return hash('sha256', text, 'hex');
}

/** @throws Fault etag-mismatch, when the request is meant for another version than that of the tag */
export function checkIfMatch(headers: ControlRequest['headers'], etagNow: () => string): void {
  const ifMatch = headers['if-match'];
  if (ifMatch === undefined) return;
  const etag = etagNow();
  if (ifMatch === etag) return;
  throw new Fault('etag-mismatch', `ETag doesn't match: ${String(ifMatch)} vs ${etag}`);
}

/** LXD's envelopes (doc/rest-api.md). */
export function syncEnvelope(metadata: unknown): object {
  return { type: 'sync', status: 'Success', status_code: 200, operation: '', error_code: 0, error: '', metadata };
}

/** What is in an envelope of success before the JSON of its metadata, which a brace follows. */
export const [beforeMetadata] = JSON.stringify(syncEnvelope('')).split('""}') as [string];

/** metadata: its JSON */
export function syncText(metadata: string, etag: string): ControlReply {
  return { kind: 'text', type: 'application/json', text: `${beforeMetadata}${metadata}}\n`, etag };
}

export function asyncEnvelope(operation: Operation): object {
  return {
    type: 'async',
    status: 'Operation created',
    status_code: 100,
    operation: `/1.0/operations/${operation.id}`,
    error_code: 0,
    error: '',
    metadata: operation.render(),
  };
}

export function errorEnvelope(code: number, error: string): object {
  return { type: 'error', status: '', status_code: 0, operation: '', error_code: code, error, metadata: null };
}

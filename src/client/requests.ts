import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Operation } from '../api/types.js';
import { ApiError, ConnectionError } from './client-errors.js';
import type { Connection, Headers } from './connection.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What is in an envelope of the host API that is no error. */
export interface Envelope<Metadata> {
  readonly type: 'sync' | 'async';
  /** path of the operation; '' when there is none */
  readonly operation: string;
  readonly metadata: Metadata;
  /** of what was asked for; '' when it has none */
  readonly etag: string;
}

/** Told now and then how far an operation is: 0 to 100. */
export type Progress = (stage: string, percent: number) => void;

/** Text, or its bytes. */
export type Body = string | Uint8Array;

/** How many things are sent or given at once, each as the JSON of a line. */
export const linesType = 'application/x-ndjson';

/** Seconds between two questions how far it is. */
const progressSeconds = 0.1;

/** Requests of the host API and their envelopes. */
export class Requests {
  readonly connection: Connection;
  /** that is meant when none is named */
  readonly project: string;

  constructor(connection: Connection, project: string) {
    this.connection = connection;
    this.project = project;
  }

  /**
   * What the answer is about; of an operation, the operation when it has ended.
   * @throws ApiError, also for an operation that has failed; ConnectionError
   */
  async request<Metadata>(method: Method, path: string, body?: unknown, headers: Headers = {}): Promise<Metadata> {
    const envelope = await this.exchange<Metadata>(method, path, body, headers);
    return envelope.type === 'async' ? this.ended<Metadata & Operation>(envelope.operation) : envelope.metadata;
  }

  /**
   * The envelope of the answer. body: text and bytes are sent as they are, anything else as JSON.
   * @throws ApiError, ConnectionError
   */
  async exchange<Metadata>(
    method: Method,
    path: string,
    body?: unknown,
    headers: Headers = {},
  ): Promise<Envelope<Metadata>> {
    const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    const type: Headers = text === undefined ? {} : { 'content-type': 'application/json' };
    const sent = text === undefined ? {} : { body: text };
    return envelopeOf<Metadata>(await this.connection.ask({ method, path, headers: { ...type, ...headers }, ...sent }));
  }

  /** The lines of a long list, one by one. @throws as linesAsTheyCome does */
  async *lines(path: string): AsyncGenerator<string, void, void> {
    for await (const lines of this.linesAsTheyCome(path)) yield* lines;
  }

  /**
   * The lines of a long list, those that come together together, on a connection of its own, which ends with the
   * iteration.
   * @throws ApiError, ConnectionError
   */
  async *linesAsTheyCome(path: string): AsyncGenerator<string[], void, void> {
    const headers = { accept: linesType };
    const response = await this.connection.stream({ method: 'GET', path, headers, alone: true });
    try {
      if (response.statusCode !== 200)
        envelopeOf({ status: response.statusCode ?? 0, headers: response.headers, text: await text(response) });
      yield* linesIn(response);
    } catch (error) {
      if (error instanceof ApiError || error instanceof ConnectionError) throw error;
      throw new ConnectionError(this.connection.path, error as Error);
    } finally {
      response.destroy();
    }
  }

  /**
   * Waits for an operation. path: /1.0/operations/ID
   * @throws ApiError, when it has failed
   */
  async ended<Ended extends Operation = Operation>(path: string, progress?: Progress): Promise<Ended> {
    for (;;) {
      const timeout = progress === undefined ? '' : `?timeout=${progressSeconds}`;
      const { metadata: operation } = await this.exchange<Ended>('GET', `${path}/wait${timeout}`);
      if (operation.status === 'Failure') throw new ApiError(400, operation.err);
      const { stage, percent } = (operation.metadata?.['progress'] ?? {}) as { stage?: string; percent?: string };
      if (stage !== undefined) progress?.(stage, Number(percent));
      if (operation.status === 'Success') return operation;
    }
  }

  /**
   * Sends a body of any length, on a connection of its own. size: bytes
   * @returns the operation as it began, when it has ended
   * @throws ApiError, ConnectionError
   */
  async upload(path: string, body: Readable, size: number, headers: Headers): Promise<Operation> {
    const sent = { ...headers, 'content-length': String(size) };
    const answer = await this.connection.ask({ method: 'POST', path, headers: sent, body, alone: true });
    const { operation, metadata } = envelopeOf<Operation>(answer);
    await this.ended(operation);
    return metadata;
  }

  /**
   * The path of a collection, or of one thing in it, with the project that is meant.
   * query: added where it is not undefined
   */
  path(collection: string, name?: string, query: Readonly<Record<string, string | undefined>> = {}): string {
    const project = this.project === 'default' ? undefined : this.project;
    return pathOf(collection, name, { project, ...query });
  }
}

async function* linesIn(response: Readable): AsyncGenerator<string[], void, void> {
  let rest = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    yield lines;
  }
}

/**
 * /1.0/instances/web1?project=blue
 * @throws ApiError 404 for a name that would make it the path of something else, such as an empty one
 */
export function pathOf(
  collection: string,
  name: string | undefined,
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  if (name !== undefined && ['', '.', '..'].includes(name)) throw new ApiError(404, `"${name}" is no name`);
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const search = given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
  return `/1.0/${collection}${name === undefined ? '' : `/${encodeURIComponent(name)}`}${search}`;
}

/** /1.0/instances/web1, of the default project */
export function instancePath(name: string): string {
  return pathOf('instances', name);
}

/**
 * What is in an answer of the host API.
 * @throws ApiError
 */
export function envelopeOf<Metadata>(answer: WireAnswer): Envelope<Metadata> {
  const envelope = parse<Metadata>(answer);
  if (envelope.type === 'error') throw new ApiError(envelope.error_code, envelope.error);
  return { ...envelope, type: envelope.type, etag: answer.headers.etag ?? '' };
}

interface WireAnswer {
  readonly status: number;
  readonly headers: { readonly etag?: string | undefined };
  readonly text: string;
}

interface AnyEnvelope<Metadata> {
  readonly type: 'sync' | 'async' | 'error';
  readonly operation: string;
  readonly metadata: Metadata;
  readonly error: string;
  readonly error_code: number;
}

function parse<Metadata>({ status, text }: WireAnswer): AnyEnvelope<Metadata> {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(status, `This is no answer of the host API: ${text.slice(0, 200)}`);
  }
}

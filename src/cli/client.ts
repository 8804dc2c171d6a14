import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { Client } from 'undici';
import { Fault, type FaultCode, faults } from '../errors.js';
import { socketPaths } from '../sockets.js';

/** An instance as the host API gives it; docs/host-api.md. */
export interface ApiInstance {
  readonly name: string;
  readonly project: string;
  readonly description: string;
  readonly profiles: readonly string[];
  readonly status: string;
  readonly created_at: string;
  readonly config: Readonly<Record<string, string>>;
  readonly devices: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly state?: { readonly pid: number };
}

interface Envelope {
  readonly etag: string | undefined;
  readonly type: 'sync' | 'async' | 'error';
  readonly operation: string;
  readonly error: string;
  readonly error_code: number;
  readonly metadata: unknown;
}

/** The part of an instance that the commands change. */
export type Editable = Pick<ApiInstance, 'config' | 'devices'>;

const editAttempts = 5;

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Talks to the daemon of a run directory over its control socket. */
export class HostClient {
  readonly #path: string;
  readonly #client: Client;

  constructor(runDir: string) {
    this.#path = socketPaths(runDir).control;
    this.#client = new Client('http://devlxd', { socketPath: this.#path });
  }

  /**
   * The metadata of the answer; of an operation, when it has ended.
   * @throws Fault with the daemon's sentence, or no-daemon
   */
  async request(method: Method, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<unknown> {
    const envelope = await this.#exchange(method, path, body, headers);
    if (envelope.type !== 'async') return envelope.metadata;
    const ended = (await this.#exchange('GET', `${envelope.operation}/wait`)).metadata as { err: string };
    if (ended.err !== '') throw new Fault('invalid-value', ended.err);
    return ended;
  }

  /**
   * Sends a body that is too long for memory. size: bytes
   * @returns the metadata of the operation
   */
  async upload(path: string, body: Readable, size: number, headers: Record<string, string>): Promise<unknown> {
    const sent = { ...headers, 'content-length': String(size) };
    const { operation, metadata } = await this.#send('POST', path, body, sent);
    const ended = (await this.#exchange('GET', `${operation}/wait`)).metadata as { err: string };
    if (ended.err !== '') throw new Fault('invalid-value', ended.err);
    return (metadata as { metadata: unknown }).metadata;
  }

  async instances(): Promise<ApiInstance[]> {
    return (await this.request('GET', '/1.0/instances?recursion=2')) as ApiInstance[];
  }

  async instance(name: string): Promise<ApiInstance> {
    return (await this.request('GET', `${instancePath(name)}?recursion=1`)) as ApiInstance;
  }

  /**
   * Changes an instance as a whole: what change gives replaces what it was given. Tried again when somebody else
   * changed the instance in between.
   */
  async edit(name: string, change: (before: Editable) => Editable): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const { etag, metadata } = await this.#exchange('GET', instancePath(name));
      const { description, profiles, config, devices } = metadata as ApiInstance;
      const after = { description, profiles, ...change({ config, devices }) };
      try {
        await this.request('PUT', instancePath(name), after, { 'if-match': etag ?? '' });
        return;
      } catch (error) {
        const outrun = error instanceof Fault && error.code === 'etag-mismatch';
        if (!outrun || attempt === editAttempts) throw error;
      }
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #exchange(
    method: Method,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Envelope> {
    const sent = body === undefined ? null : JSON.stringify(body);
    return this.#send(method, path, sent, { 'content-type': 'application/json', ...headers });
  }

  async #send(
    method: Method,
    path: string,
    body: string | Readable | null,
    headers: Record<string, string>,
  ): Promise<Envelope> {
    const response = await this.#client
      .request({ method, path, body, headers, headersTimeout: 0 })
      .catch((error: Error) => this.#noDaemon(error));
    const envelope = (await response.body.json()) as Omit<Envelope, 'etag'>;
    if (envelope.type === 'error') throw new Fault(codeOf(envelope.error_code), envelope.error);
    return { ...envelope, etag: response.headers['etag'] as string | undefined };
  }

  #noDaemon(error: Error): never {
    const code = 'code' in error ? error.code : '';
    const sentences: Record<string, string> = {
      ENOENT: `No devlxd runs here: there is no ${this.#path}. Start one with "devlxd serve", or name its --run-dir.`,
      ECONNREFUSED: `No devlxd listens on ${this.#path}; start it with "devlxd serve".`,
      EACCES: `You may not use ${this.#path}; run this as root, or as the user who runs the daemon.`,
    };
    throw new Fault('no-daemon', sentences[String(code)] ?? `${this.#path}: ${error.message}`, error);
  }
}

/** Runs work with a client for the daemon that the command line names. */
export async function withClient<Result>(
  command: Command,
  work: (client: HostClient) => Promise<Result>,
): Promise<Result> {
  const client = new HostClient(command.optsWithGlobals()['runDir'] as string);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** The same for a command that prints nothing when all is well. */
export async function perform(command: Command, work: (client: HostClient) => Promise<unknown>): Promise<void> {
  await withClient(command, work);
}

export function instancePath(name: string): string {
  return `/1.0/instances/${encodeURIComponent(name)}`;
}

function codeOf(status: number): FaultCode {
  const codes = Object.keys(faults) as FaultCode[];
  return codes.find((code) => faults[code] === status) ?? 'invalid-value';
}

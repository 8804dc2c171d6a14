import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type {
  BatchLine,
  HostEvent,
  Operation,
  Profile,
  ProfileWritten,
  Project,
  ProjectWritten,
  ReconnectedEvent,
  ServerInfo,
} from '../api/types.js';
import { optionDeclarations, variableOf } from '../config/options.js';
import { socketPaths } from '../config/paths.js';
import { Collection } from './collection.js';
import { type Connect, Connection, type Headers } from './connection.js';
import { follow } from './follow.js';
import { IdentityClient } from './identity-client.js';
import { Images } from './image-collection.js';
import { Instances } from './instance-collection.js';
import { OperationList } from './operations.js';
import { type Body, envelopeOf, linesType, type Method, type Progress, Requests } from './requests.js';
import { StagedBatch } from './staged-batch.js';

export interface HostOptions {
  /** that is meant where none is named; `default` */
  readonly project?: string;
  /** to reach the control socket another way */
  readonly connect?: Connect;
}

export interface HostEventsOptions {
  /** all, when left out */
  readonly types?: readonly ('lifecycle' | 'operation' | 'logging')[];
  /** of all projects, and not only of the client's */
  readonly allProjects?: boolean;
  /** ends the iteration, quietly */
  readonly signal?: AbortSignal;
}

/**
 * An operator's hand on a daemon: LXD's REST dialect on its control socket. Everything fails with ApiError, whose
 * message is the daemon's sentence, or with ConnectionError. Requests are made one after the other, in the order of
 * the calls, on one connection that is kept open; images and events have connections of their own.
 */
export class HostClient {
  readonly instances: Instances;
  readonly profiles: Collection<Profile, ProfileWritten>;
  readonly projects: Collection<Project, ProjectWritten>;
  readonly images: Images;
  readonly operations: OperationList;
  readonly identity: IdentityClient;
  readonly #requests: Requests;

  /** runDir: of the daemon; $DEVLXD_RUN_DIR or the daemon's own default when left out */
  constructor(runDir = defaultRunDir(), { project = 'default', connect }: HostOptions = {}) {
    this.#requests = new Requests(new Connection(socketPaths(runDir).control, connect), project);
    this.instances = new Instances(this.#requests);
    this.profiles = new Collection(this.#requests, 'profiles', ['description', 'config', 'devices']);
    this.projects = new Collection(this.#requests, 'projects', ['description', 'config'], false);
    this.images = new Images(this.#requests);
    this.operations = new OperationList(this.#requests);
    this.identity = new IdentityClient(this.#requests);
  }

  /** What the server is. */
  async info(): Promise<ServerInfo> {
    return this.#requests.request<ServerInfo>('GET', '/1.0');
  }

  /** Prometheus's text format; docs/metrics.md. perInstance: the metrics that name instances */
  async metrics({ perInstance = false }: { readonly perInstance?: boolean } = {}): Promise<string> {
    const path = perInstance ? '/1.0/metrics?per=instance' : '/1.0/metrics';
    const answer = await this.#requests.connection.ask({ method: 'GET', path });
    if (answer.status !== 200) envelopeOf(answer);
    return answer.text;
  }

  /**
   * A copy of everything that is stored, as an SQLite database; it must be read to its end, or destroyed.
   * @throws ApiError, ConnectionError
   */
  async backup(): Promise<Readable> {
    const { connection } = this.#requests;
    const response = await connection.stream({ method: 'GET', path: '/1.0/backup', alone: true });
    if (response.statusCode === 200) return response;
    const { headers, statusCode: status = 0 } = response;
    envelopeOf({ status, headers, text: (await buffer(response)).toString('utf8') });
    throw new Error(`status ${status} without an error`);
  }

  /**
   * Makes many changes in one transaction: all of them or none.
   * progress: told how far it is, while it is checked and written
   * @throws ApiError with the number of the line that is wrong, and its field
   */
  async batch(lines: readonly BatchLine[], progress?: Progress): Promise<Operation> {
    return this.batchOf(lines.map((line) => `${JSON.stringify(line)}\n`).join(''), progress);
  }

  /** The same with the text of the lines, each of which is JSON. */
  async batchOf(text: Body, progress?: Progress): Promise<Operation> {
    return this.#sendLines('/1.0/batch', text, progress);
  }

  /**
   * Sends a batch beforehand, on a connection of its own, so that the daemon has it when it is to be done: the next of
   * several while one is written. body: lines, each of which is JSON; it must stay as it is
   */
  stageBatch(body: Uint8Array): StagedBatch {
    return new StagedBatch(this.#requests.connection, '/1.0/batch', body);
  }

  /**
   * Says what batchOf would say, and changes nothing.
   * @throws ApiError, as batchOf does; 404 of a daemon that cannot tell
   */
  async checkBatchOf(text: Body, progress?: Progress): Promise<Operation> {
    return this.#sendLines('/1.0/batch/check', text, progress);
  }

  /**
   * What happens on the host, in order. After a reconnection, which is automatic, a `reconnected` event says that
   * some may be missing: read the state again.
   * @throws ApiError, ConnectionError when there is no daemon at the start
   */
  events({ types, allProjects, signal }: HostEventsOptions = {}): AsyncGenerator<HostEvent, void, void> {
    const all = allProjects ? { 'all-projects': 'true', project: undefined } : {};
    const path = this.#requests.path('events', undefined, { type: types?.join(','), ...all });
    const { connection } = this.#requests;
    return follow<HostEvent>({
      socketPath: connection.path,
      signal,
      connect: () => connection.webSocket(path),
      reconnected: () => [reconnected()],
    });
  }

  /**
   * Any request of the host API, for what has no method here.
   * @returns what the answer is about; of an operation, the operation when it has ended
   */
  request(method: Method, path: string, body?: unknown, headers: Headers = {}): Promise<unknown> {
    return this.#requests.request(method, path, body, headers);
  }

  /**
   * Any upload, on a connection of its own. size: bytes of the body
   * @returns the metadata of its operation, when that has ended
   */
  async upload(path: string, body: Readable, size: number, headers: Headers): Promise<unknown> {
    return (await this.#requests.upload(path, body, size, headers)).metadata;
  }

  async #sendLines(path: string, text: Body, progress?: Progress): Promise<Operation> {
    const type = { 'content-type': linesType };
    const { operation } = await this.#requests.exchange('POST', path, text, type);
    return this.#requests.ended(operation, progress);
  }

  /** Closes the kept connection; events end by their signal, or with their iteration. */
  async close(): Promise<void> {
    this.#requests.connection.close();
  }
}

export function defaultRunDir(): string {
  return process.env[variableOf('run-dir')] || optionDeclarations['run-dir'].default;
}

function reconnected(): ReconnectedEvent {
  const timestamp = new Date().toISOString().replace('Z', '000000Z');
  return { type: 'reconnected', timestamp, metadata: {} };
}

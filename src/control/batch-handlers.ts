import { Fault, invalid } from '../errors.js';
import { percentDecode } from '../http/percent-decode.js';
import type { Registry } from '../instances/registry.js';
import { defaultProject } from '../model/instance.js';
import { type BatchedRequest, type Step, type Transact, writeBatch } from './batch-lines.js';
import type { ControlHandler, ControlReply } from './control-reply.js';
import { Lines, linesType } from './ndjson.js';
import type { Operations, Work } from './operations.js';
import { batchLineIn } from './usual-body.js';

/** Makes a step of a request. */
interface Collection {
  step(request: BatchedRequest): Step;
}

/** POST /1.0/batch: changes of all kinds in one transaction. LXD has nothing like it. */
export class BatchHandlers {
  readonly #registry: Registry;
  readonly #operations: Operations;
  readonly #collections: Readonly<Record<string, Collection>>;

  /** collections: by what they are called in a path */
  constructor(registry: Registry, operations: Operations, collections: Readonly<Record<string, Collection>>) {
    this.#registry = registry;
    this.#operations = operations;
    this.#collections = collections;
  }

  readonly create: ControlHandler = ({ body, requestor }) =>
    this.#start('Changing many', body, (steps) => this.#registry.transact(steps, requestor));

  /** POST /1.0/batch/check: says what create would say, and changes nothing. */
  readonly check: ControlHandler = ({ body }) =>
    this.#start('Checking a batch', body, (steps) => this.#registry.rehearse(steps));

  #start(description: string, body: unknown, transact: Transact): ControlReply {
    if (!(body instanceof Lines)) throw invalid('Content-Type', `${linesType} is what a batch is sent as`);
    const work: Work = (report) => writeBatch(body, (line) => this.#step(line), report, transact);
    return { kind: 'async', operation: this.#operations.start(description, [], work) };
  }

  #step(line: unknown): Step {
    const { method, path, etag, body = {} } = batchLineIn(line);
    const { kind, name, query } = asked(path);
    const collection = Object.hasOwn(this.#collections, kind) ? this.#collections[kind] : undefined;
    if (collection === undefined)
      throw new Fault('not-implemented', `path: "${path}" cannot be in a batch; instances and profiles can`);
    return collection.step({
      method,
      project: query?.get('project') || defaultProject,
      name,
      target: query?.get('target') ?? '',
      headers: { 'if-match': etag },
      body,
    });
  }
}

/** Of these nothing has to be understood. */
const plainPath = /^\/1\.0\/[a-z]+(?:\/[\w-]+)?$/;
const start = '/1.0/'.length;

/** What a path names; kind: '' where that cannot be in a batch */
function asked(path: string): { kind: string; name: string; query: URLSearchParams | undefined } {
  if (plainPath.test(path)) {
    const end = path.indexOf('/', start);
    if (end < 0) return { kind: path.slice(start), name: '', query: undefined };
    return { kind: path.slice(start, end), name: path.slice(end + 1), query: undefined };
  }
  const { pathname, searchParams: query } = new URL(path, 'http://devlxd');
  const [root, version, kind = '', name = '', ...more] = pathname.split('/');
  if (root !== '' || version !== '1.0' || more.length > 0) return { kind: '', name: '', query };
  const decoded = percentDecode(name);
  if (decoded === undefined) throw invalid('path', `"${name}" is not percent-encoded text`);
  return { kind, name: decoded, query };
}

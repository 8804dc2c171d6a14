// The store's own thread: it alone opens the database. It answers each message in order.
import { parentPort, workerData } from 'node:worker_threads';
import { Fault, type FaultCode } from '../errors.js';
import { PartedCommit } from './parted-commit.js';
import { migrations } from './schema.js';
import { Database, sqliteCodeOf } from './sqlite.js';
import { type EventRow, type EventsRequest, eventsIn } from './stored-events.js';
import { type InstancesText, instancesIn } from './stored-instances.js';
import { Writer } from './writer.js';

// By way of the instances, each of which has its last event at the end of an index.
const lastEvent = `SELECT max(last) FROM
  (SELECT (SELECT max(timestamp) FROM events WHERE instance_id = id) AS last FROM instances)`;

/** Everything stored but instances, as rows. */
export interface Rows {
  readonly profiles: [
    id: number,
    project: string,
    name: string,
    description: string,
    config: string,
    devices: string,
    changedAt: string,
    source: string,
  ][];
  readonly projects: [id: number, name: string, description: string, config: string][];
  readonly lastEvent: string | null;
}

export type ImageRow = [
  fingerprint: string,
  filename: string,
  type: string,
  isPublic: number,
  cached: number,
  properties: string,
  files: string,
  uploadedAt: string,
];

export type IdentityKeyRow = [kid: string, privateKey: string, createdAt: number, signsFrom: number | null];

export type Request =
  | ReadRequest
  | WorkRequest
  /** Begins a commit that comes in parts: all of them are written, or none. Answered when it has ended. */
  | { readonly kind: 'begin' }
  | PartRequest
  | { readonly kind: 'close' };

/** Has no answer of its own. */
type PartRequest = { readonly kind: 'part'; readonly statements: string } | LastRequest;

type LastRequest =
  | { readonly kind: 'last'; readonly statements: string }
  /** nothing of it is written */
  | { readonly kind: 'give-up' };

type ReadRequest =
  | { readonly kind: 'load' }
  /** some of those whose ids are above this one, by id; none: these are all */
  | { readonly kind: 'instances'; readonly after: number }
  | { readonly kind: 'images' }
  | { readonly kind: 'identity-keys' }
  | { readonly kind: 'source-state'; readonly name: string }
  | EventsRequest;

type WorkRequest =
  | { readonly kind: 'check' }
  /** the text of a StatementList: all of it is written, or nothing */
  | { readonly kind: 'write'; readonly statements: string }
  | { readonly kind: 'copy'; readonly file: string };

function isRead(request: ReadRequest | WorkRequest): request is ReadRequest {
  return ['load', 'instances', 'images', 'identity-keys', 'source-state', 'events'].includes(request.kind);
}

function isPart(request: Request): request is PartRequest {
  return ['part', 'last', 'give-up'].includes(request.kind);
}

export interface Answer {
  readonly rows?: Rows;
  readonly instances?: InstancesText;
  readonly images?: ImageRow[];
  readonly identityKeys?: IdentityKeyRow[];
  readonly sourceState?: string;
  /** left out: not all that were asked for are kept, or they are too long */
  readonly events?: EventRow[];
  readonly fault?: { code: FaultCode; detail: string };
}

class StoreError extends Error {
  readonly fault: FaultCode;
  constructor(fault: FaultCode, detail: string) {
    super(detail);
    this.fault = fault;
  }
}

const port = parentPort;
if (port === null) throw new Error('store-worker runs as a worker thread only');

answering(() => {
  serve(open(workerData as string));
  return {};
});

function open(file: string): Database {
  const opened = new Database(file);
  // Exclusive, from the first read on: two daemons on one store would each serve what the other has changed.
  opened.exec('PRAGMA locking_mode = EXCLUSIVE');
  opened.exec('PRAGMA journal_mode = WAL');
  opened.exec('PRAGMA synchronous = FULL');
  opened.exec('PRAGMA foreign_keys = ON');
  migrate(opened);
  return opened;
}

/** What is read at the start must not be half of what was written. The events are many, and looked at by a backup. */
function check(opened: Database): void {
  for (const table of [
    'instances',
    'config',
    'devices',
    'profiles',
    'projects',
    'images',
    'identity_keys',
    'source_state',
  ]) {
    const problem = opened.value(`PRAGMA integrity_check(${table})`);
    if (problem !== 'ok') throw new StoreError('store-damaged', String(problem));
  }
  for (const table of ['config', 'devices']) {
    const orphans = opened.prepare(`PRAGMA foreign_key_check(${table})`).all();
    if (orphans.length > 0)
      throw new StoreError('store-damaged', `${orphans.length} rows of ${table} are of no instance`);
  }
}

function migrate(opened: Database): void {
  const taken = Number(opened.value('PRAGMA user_version'));
  if (taken > migrations.length)
    throw new StoreError('store-newer', `schema ${taken}, this one knows ${migrations.length}`);
  if (taken === migrations.length) return; // without a write: it starts on a full disk
  opened.transaction(() => {
    for (const step of migrations.slice(taken)) opened.exec(step);
    opened.exec(`PRAGMA user_version = ${migrations.length}`);
  });
}

function serve(opened: Database): void {
  const writer = new Writer(opened);
  const events = eventsIn(opened);
  const instances = instancesIn(opened);
  let isDamaged = false;
  const copy = opened.prepare('VACUUM INTO ?');
  const images = opened.prepare(
    'SELECT fingerprint, filename, type, public, cached, properties, files, uploaded_at FROM images',
  );
  const identityKeys = opened.prepare('SELECT kid, private_key, created_at, signs_from FROM identity_keys');
  const sourceState = opened.prepare('SELECT state FROM source_state WHERE name = ?');
  const sourceStateOf = (name: string): Answer => {
    const [found] = sourceState.get(name) ?? [];
    return typeof found === 'string' ? { sourceState: found } : {};
  };
  /** what comes while a commit is open, which nobody may see before it has ended */
  const held: Request[] = [];
  let commit: PartedCommit | undefined;
  const close = (): void => {
    try {
      commit?.giveUp();
      opened.close();
    } catch {
      // On a full disk the log stays beside the file, and the next process reads both.
    }
    port?.close();
  };
  const read = (request: ReadRequest): Answer => {
    if (request.kind === 'load') return { rows: readRows(opened) };
    if (request.kind === 'instances') return { instances: instances(request.after) };
    if (request.kind === 'images') return { images: images.all() as unknown as ImageRow[] };
    if (request.kind === 'identity-keys') return { identityKeys: identityKeys.all() as unknown as IdentityKeyRow[] };
    if (request.kind === 'source-state') return sourceStateOf(request.name);
    return events(request);
  };
  const checkAll = (): void => {
    isDamaged = true;
    check(opened);
    isDamaged = false;
  };
  const refusal = () => (isDamaged ? new StoreError('store-damaged', 'as was found at the start') : undefined);
  const work = (request: WorkRequest): Answer => {
    const refused = refusal();
    if (refused !== undefined) throw refused;
    if (request.kind === 'check') checkAll();
    else if (request.kind === 'copy') copy.run(request.file);
    else write(request.statements);
    return {};
  };
  const write = (statements: string): void => {
    try {
      opened.transaction(() => writer.write(statements));
    } catch (error) {
      writer.rolledBack();
      throw error;
    }
  };
  const take = (request: Request): void => {
    if (request.kind === 'close') close();
    else if (request.kind === 'begin') commit = new PartedCommit(opened, writer, refusal());
    else if (!isPart(request)) answering(() => (isRead(request) ? read(request) : work(request)));
  };
  const end = (commit: PartedCommit, request: LastRequest): Answer => {
    if (request.kind === 'give-up') commit.giveUp();
    else commit.end(request.statements);
    return {};
  };
  port?.on('message', (request: Request) => {
    if (commit === undefined || request.kind === 'close') take(request);
    else if (!isPart(request)) held.push(request);
    else if (request.kind === 'part') commit.add(request.statements);
    else {
      const ended = commit;
      commit = undefined;
      answering(() => end(ended, request));
      while (commit === undefined && held.length > 0) take(held.shift() as Request);
    }
  });
}

function readRows(opened: Database): Rows {
  const rows = (sql: string): unknown => opened.prepare(sql).all();
  return {
    profiles: rows(
      'SELECT id, project, name, description, config, devices, changed_at, source FROM profiles',
    ) as Rows['profiles'],
    projects: rows('SELECT id, name, description, config FROM projects') as Rows['projects'],
    lastEvent: opened.value(lastEvent) as string | null,
  };
}

/** Runs work and sends what it answers, or why it failed; each request gets exactly one answer. */
function answering(work: () => Answer): void {
  try {
    port?.postMessage(work());
  } catch (error) {
    port?.postMessage({ fault: faultOf(error) });
  }
}

function faultOf(error: unknown): NonNullable<Answer['fault']> {
  const detail = error instanceof Error ? error.message : String(error);
  if (error instanceof StoreError) return { code: error.fault, detail };
  if (error instanceof Fault) return { code: error.code, detail };
  const code = sqliteCodeOf(error);
  if (code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED') return { code: 'store-locked', detail };
  if (code === 'SQLITE_FULL') return { code: 'store-full', detail };
  if (code === 'SQLITE_CORRUPT' || code === 'SQLITE_NOTADB') return { code: 'store-damaged', detail };
  return { code: 'store-failed', detail };
}

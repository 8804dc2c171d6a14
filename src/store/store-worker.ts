// The store's own thread: it alone opens the database. It answers each message in order.
import { parentPort, workerData } from 'node:worker_threads';
import { Fault, type FaultCode } from '../errors.js';
import { CommitParts } from './commit-parts.js';
import { keptEvents, migrations } from './schema.js';
import { Database, type Statement as Prepared, sqliteCodeOf, type Value } from './sqlite.js';
import { type EventRow, type EventsRequest, eventsIn, gap } from './stored-events.js';
import { type InstancesText, instancesIn } from './stored-instances.js';

const statements = {
  putInstance: `INSERT INTO instances
      (id, project, name, description, created_at, profiles, guest_state, pid, start_ticks, boot_id, source,
      type, cid, seed)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET project = excluded.project, name = excluded.name,
      description = excluded.description, profiles = excluded.profiles, guest_state = excluded.guest_state,
      pid = excluded.pid, start_ticks = excluded.start_ticks, boot_id = excluded.boot_id, cid = excluded.cid,
      source = excluded.source, seed = excluded.seed`,
  deleteInstance: 'DELETE FROM instances WHERE id = ?',
  putProfile: `INSERT INTO profiles (id, project, name, description, config, devices, changed_at, source)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET project = excluded.project, name = excluded.name,
      description = excluded.description, config = excluded.config, devices = excluded.devices,
      changed_at = excluded.changed_at, source = excluded.source`,
  deleteProfile: 'DELETE FROM profiles WHERE id = ?',
  putProject: `INSERT INTO projects (id, name, description, config) VALUES (?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description,
      config = excluded.config`,
  deleteProject: 'DELETE FROM projects WHERE id = ?',
  putKey: `INSERT INTO config (instance_id, key, value) VALUES (?, ?, ?)
    ON CONFLICT (instance_id, key) DO UPDATE SET value = excluded.value`,
  deleteKey: 'DELETE FROM config WHERE instance_id = ? AND key = ?',
  putDevice: `INSERT INTO devices (instance_id, name, options) VALUES (?, ?, ?)
    ON CONFLICT (instance_id, name) DO UPDATE SET options = excluded.options`,
  deleteDevice: 'DELETE FROM devices WHERE instance_id = ? AND name = ?',
  putEvent: 'INSERT INTO events (instance_id, timestamp, type, text) VALUES (?, ?, ?, ?)',
  putGap: `INSERT INTO events (instance_id, timestamp, type, text) VALUES (?, ?, '${gap}', '')
    ON CONFLICT (instance_id, timestamp) DO NOTHING`,
  trimEvents: `DELETE FROM events WHERE instance_id = ? AND timestamp <=
    (SELECT timestamp FROM events WHERE instance_id = ? ORDER BY timestamp DESC LIMIT 1 OFFSET ?)`,
  putImage: `INSERT INTO images (fingerprint, filename, type, public, cached, properties, files, uploaded_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (fingerprint) DO UPDATE SET filename = excluded.filename, type = excluded.type,
      public = excluded.public, cached = excluded.cached, properties = excluded.properties`,
  deleteImage: 'DELETE FROM images WHERE fingerprint = ?',
  putIdentityKey: `INSERT INTO identity_keys (kid, private_key, created_at, signs_from) VALUES (?, ?, ?, ?)
    ON CONFLICT (kid) DO UPDATE SET signs_from = excluded.signs_from`,
  deleteIdentityKey: 'DELETE FROM identity_keys WHERE kid = ?',
  putSourceState: `INSERT INTO source_state (name, state) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET state = excluded.state`,
} as const;

// By way of the instances, each of which has its last event at the end of an index.
const lastEvent = `SELECT max(last) FROM
  (SELECT (SELECT max(timestamp) FROM events WHERE instance_id = id) AS last FROM instances)`;

/** Old events are trimmed in batches. */
const trimmedAtOnce = 64;

/** One write: the name of a prepared statement and its parameters. */
export type Statement = [keyof typeof statements, Value[]];

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
  /** of a commit that is sent in parts */
  | { readonly kind: 'part'; readonly number: number; readonly statements: string }
  | { readonly kind: 'close' };

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
  | { readonly kind: 'write' /** JSON of Statement[] */; readonly statements: string }
  /** the last part of a commit: all of them are written, or none */
  | { readonly kind: 'commit'; readonly number: number; readonly statements: string }
  | { readonly kind: 'copy'; readonly file: string };

function isRead(request: ReadRequest | WorkRequest): request is ReadRequest {
  return ['load', 'instances', 'images', 'identity-keys', 'source-state', 'events'].includes(request.kind);
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
  const prepared = Object.fromEntries(
    Object.entries(statements).map(([name, sql]) => [name, opened.prepare(sql)]),
  ) as Record<keyof typeof statements, Prepared>;
  const untrimmed = new Map<Value, number>();
  /** By instance, counted from the first event that this process writes, which may follow many others. */
  const countEvent = (instanceId: Value): void => {
    const count = untrimmed.get(instanceId) ?? trimmedAtOnce;
    if (count >= trimmedAtOnce) prepared.trimEvents.run(instanceId, instanceId, keptEvents);
    untrimmed.set(instanceId, count >= trimmedAtOnce ? 1 : count + 1);
  };
  const write = (writes: readonly Statement[]): void => {
    for (const [name, parameters] of writes) {
      prepared[name].run(...parameters);
      if (name === 'putEvent' || name === 'putGap') countEvent(parameters[0] as Value);
      else if (name === 'deleteInstance') untrimmed.delete(parameters[0] as Value);
    }
  };
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
  const parts = new CommitParts<Statement>();
  const close = (): void => {
    try {
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
  const work = (request: WorkRequest): Answer => {
    if (isDamaged) throw new StoreError('store-damaged', 'as was found at the start');
    if (request.kind === 'check') checkAll();
    else if (request.kind === 'copy') copy.run(request.file);
    else if (request.kind === 'write') opened.transaction(() => write(JSON.parse(request.statements)));
    else {
      const statements = parts.take(request.number, request.statements);
      opened.transaction(() => write(statements));
    }
    return {};
  };
  port?.on('message', (request: Request) => {
    if (request.kind === 'part') parts.add(request.number, request.statements);
    else if (request.kind === 'close') close();
    else answering(() => (isRead(request) ? read(request) : work(request)));
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

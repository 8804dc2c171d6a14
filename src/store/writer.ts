import { keptEvents } from './schema.js';
import type { Database, Statement as Prepared, Value } from './sqlite.js';
import { gap } from './stored-events.js';

const statements = {
  putInstance: `INSERT INTO instances
      (id, project, name, description, created_at, profiles, guest_state, pid, start_ticks, boot_id, source,
      type, cid, seed)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET project = excluded.project, name = excluded.name,
      description = excluded.description, profiles = excluded.profiles, guest_state = excluded.guest_state,
      pid = excluded.pid, start_ticks = excluded.start_ticks, boot_id = excluded.boot_id, cid = excluded.cid,
      source = excluded.source, seed = excluded.seed`,
  // A new one has no row yet: looking for one costs a fifth of writing it.
  addInstance: `INSERT INTO instances
      (id, project, name, description, created_at, profiles, guest_state, pid, start_ticks, boot_id, source,
      type, cid, seed)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
  addKey: 'INSERT INTO config (instance_id, key, value) VALUES (?, ?, ?)',
  deleteKey: 'DELETE FROM config WHERE instance_id = ? AND key = ?',
  putDevice: `INSERT INTO devices (instance_id, name, options) VALUES (?, ?, ?)
    ON CONFLICT (instance_id, name) DO UPDATE SET options = excluded.options`,
  addDevice: 'INSERT INTO devices (instance_id, name, options) VALUES (?, ?, ?)',
  deleteDevice: 'DELETE FROM devices WHERE instance_id = ? AND name = ?',
  putEvent: 'INSERT INTO events (instance_id, timestamp, type, text) VALUES (?, ?, ?, ?)',
  putGap: `INSERT INTO events (instance_id, timestamp, type, text) VALUES (?, ?, '${gap}', '')
    ON CONFLICT (instance_id, timestamp) DO NOTHING`,
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

const trimEvents = `DELETE FROM events WHERE instance_id = ? AND timestamp <=
  (SELECT timestamp FROM events WHERE instance_id = ? ORDER BY timestamp DESC LIMIT 1 OFFSET ?)`;

export type StatementName = keyof typeof statements;

/** By name: a number is shorter, and both threads have the same. */
const numbers = new Map<string, number>(Object.keys(statements).map((name, number) => [name, number]));

/** What is to be written: the number of each statement, and behind it its parameters. */
export class StatementList {
  /** keeps the values of the last text, to be written over: a new list for each text would leave three times as much garbage */
  readonly #values: Value[] = [];
  #count = 0;
  /** about how many characters its text has */
  length = 0;

  /** With one statement. */
  static of(name: StatementName, ...parameters: Value[]): StatementList {
    const list = new StatementList();
    list.add(name, ...parameters);
    return list;
  }

  add(name: StatementName, ...parameters: Value[]): void {
    this.begin(name);
    for (const value of parameters) this.put(value);
  }

  /** The same without a list of the parameters, each of which is to be put: for what there are a hundred thousand of. */
  begin(name: StatementName): this {
    this.#push(numbers.get(name) ?? name);
    return this;
  }

  put(value: Value): this {
    this.#push(value);
    this.length += typeof value === 'string' ? value.length + 3 : 4;
    return this;
  }

  #push(value: Value): void {
    if (this.#count < this.#values.length) this.#values[this.#count] = value;
    else this.#values.push(value);
    this.#count++;
  }

  /** All of it as one text, which costs less than to clone it for another thread. The list is empty afterwards. */
  take(): string {
    this.#values.length = this.#count;
    const text = JSON.stringify(this.#values);
    this.#count = 0;
    this.length = 0;
    return text;
  }
}

/** Old events are trimmed in batches. */
const trimmedAtOnce = 64;

interface Numbered {
  readonly name: string;
  readonly prepared: Prepared;
  readonly parameters: number;
}

/** Writes such texts, inside of a transaction. */
export class Writer {
  /** by their numbers */
  readonly #statements: readonly Numbered[];
  readonly #trimEvents: Prepared;
  readonly #untrimmed = new Map<Value, number>();

  constructor(database: Database) {
    this.#trimEvents = database.prepare(trimEvents);
    this.#statements = Object.entries(statements).map(([name, sql]) => ({
      name,
      prepared: database.prepare(sql),
      parameters: sql.split('?').length - 1,
    }));
  }

  write(text: string): void {
    const values: Value[] = JSON.parse(text);
    for (let at = 0; at < values.length; ) {
      const number = Number(values[at++]);
      const statement = this.#statements[number];
      if (statement === undefined) throw new Error(`there is no statement ${number}`);
      const { name, prepared, parameters } = statement;
      const first = values[at] as Value;
      if (parameters === 3) prepared.run(first, values[at + 1] as Value, values[at + 2] as Value);
      else prepared.run(...values.slice(at, at + parameters));
      at += parameters;
      if (name === 'putEvent' || name === 'putGap') this.#countEvent(first);
      else if (name === 'deleteInstance') this.#untrimmed.delete(first);
    }
  }

  /** What was written last does not hold: the events that it trimmed are there again, so each instance is trimmed anew. */
  rolledBack(): void {
    this.#untrimmed.clear();
  }

  /** By instance, counted from the first event that this process writes, which may follow many others. */
  #countEvent(instanceId: Value): void {
    const count = this.#untrimmed.get(instanceId) ?? trimmedAtOnce;
    if (count >= trimmedAtOnce) this.#trimEvents.run(instanceId, instanceId, keptEvents);
    this.#untrimmed.set(instanceId, count >= trimmedAtOnce ? 1 : count + 1);
  }
}

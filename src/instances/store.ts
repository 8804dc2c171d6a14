import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Fault, type FaultCode } from '../errors.js';
import type { Image, ImageType } from '../images/model.js';
import { differenceOf, sameDevice, type WrittenChange } from './changes.js';
import type { EventType, GuestEvent } from './events.js';
import type { Device, GuestState, Instance } from './model.js';
import type { Answer, EventRow, ImageRow, Request, Rows, Statement } from './store-worker.js';

/** How many events of each instance are kept for listeners that come back. */
export const keptEvents = 256;

export interface Loaded {
  readonly instances: Instance[];
  /** timestamp of the last event of all; undefined when there was none */
  readonly lastEvent: string | undefined;
}

interface Waiting {
  resolve(answer: Answer): void;
}

/**
 * The embedded store: SQLite with a write-ahead log and a full sync on every commit, in a thread of its own, so that
 * guests are answered while the disk is waited for. What `commit` was awaited for survives `kill -9` and a power cut.
 */
export class Store {
  readonly #file: string;
  readonly #waiting: Waiting[] = [];
  #worker: Worker | undefined;

  /** stateDir: made (0700) when it does not exist */
  constructor(stateDir: string) {
    this.#file = join(stateDir, 'devlxd.db');
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  }

  /** @throws Fault store-locked, store-newer or store-damaged */
  async open(): Promise<void> {
    const worker = new Worker(new URL('./store-worker.js', import.meta.url), { workerData: this.#file });
    worker.on('message', (answer: Answer) => this.#waiting.shift()?.resolve(answer));
    worker.on('error', (error) => this.#fail(error));
    this.#worker = worker;
    await this.#ask(undefined);
  }

  /** Everything that is stored, but the events. */
  async load(): Promise<Loaded> {
    const rows = (await this.#ask({ kind: 'load' })).rows as Rows;
    return { instances: instancesOf(rows), lastEvent: rows.lastEvent ?? undefined };
  }

  /**
   * The events of an instance after a timestamp, oldest first; undefined when some of them are not kept any more.
   */
  async eventsAfter(instanceId: number, timestamp: string): Promise<GuestEvent[] | undefined> {
    const rows = (await this.#ask({ kind: 'events', instanceId })).events as EventRow[];
    const [oldest] = rows;
    if (oldest !== undefined && rows.length >= keptEvents && timestamp < oldest[0]) return undefined;
    return rows
      .filter(([stamp]) => stamp > timestamp)
      .map(([stamp, type, text]) => ({ timestamp: stamp, type: type as EventType, text }));
  }

  /**
   * Writes all changes in one transaction and waits until they are on the disk.
   * @throws Fault store-full or store-failed; nothing was written then
   */
  async commit(changes: readonly WrittenChange[]): Promise<void> {
    await this.#ask({ kind: 'write', statements: changes.flatMap(statementsOf) });
  }

  async loadImages(): Promise<Image[]> {
    const { images } = await this.#ask({ kind: 'images' });
    return (images ?? []).map(imageOf);
  }

  /**
   * Durable when it is done, like a commit.
   * @throws Fault store-full or store-failed
   */
  async putImage(image: Image): Promise<void> {
    const { fingerprint, filename, type, properties, files, uploadedAt } = image;
    const texts = [JSON.stringify(properties), JSON.stringify(files), uploadedAt];
    const row = [fingerprint, filename, type, Number(image.public), Number(image.cached), ...texts];
    await this.#ask({ kind: 'write', statements: [['putImage', row]] });
  }

  /** Like putImage. */
  async removeImage(fingerprint: string): Promise<void> {
    await this.#ask({ kind: 'write', statements: [['deleteImage', [fingerprint]]] });
  }

  /** Moves the log into the database file and closes it. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#worker = undefined;
    const exit = once(worker, 'exit');
    worker.postMessage({ kind: 'close' } satisfies Request);
    await exit;
  }

  #ask(request: Request | undefined): Promise<Answer> {
    const worker = this.#worker;
    if (worker === undefined) return Promise.reject(new Fault('store-failed', 'The store is closed.'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        resolve: (answer) => (answer.fault ? reject(this.#faultOf(answer.fault)) : resolve(answer)),
      });
      if (request !== undefined) worker.postMessage(request);
    });
  }

  #fail(error: Error): void {
    this.#worker = undefined;
    for (const { resolve } of this.#waiting.splice(0))
      resolve({ fault: { code: 'store-failed', detail: error.message } });
  }

  #faultOf({ code, detail }: { code: FaultCode; detail: string }): Fault {
    const sentences: Partial<Record<FaultCode, string>> = {
      'store-locked': `Another devlxd uses ${this.#file}; stop it, or choose another --state-dir.`,
      'store-newer': `${this.#file} was written by a newer devlxd (${detail}); install that version, or restore a backup.`,
      'store-damaged': `${this.#file} is damaged (${detail}); restore a backup, or move the file away to start empty.`,
      'store-full': `The disk of ${this.#file} is full; nothing was changed. Free some space and try again.`,
      'store-failed': `${this.#file} cannot be written: ${detail}. Nothing was changed.`,
    };
    return new Fault(code, sentences[code] ?? detail);
  }
}

function statementsOf({ before, after, events }: WrittenChange): Statement[] {
  if (after === undefined) return before === undefined ? [] : [['deleteInstance', [before.id]]];
  const { id } = after;
  const keys = differenceOf(before?.config ?? new Map(), after.config);
  const devices = differenceOf(before?.devices ?? new Map<string, Device>(), after.devices, sameDevice);
  const { run } = after;
  return [
    [
      'putInstance',
      [
        id,
        after.project,
        after.name,
        after.createdAt,
        after.guestState,
        run?.pid ?? null,
        run?.startTicks ?? null,
        run?.bootId ?? null,
      ],
    ],
    ...keys.removed.map((key): Statement => ['deleteKey', [id, key]]),
    ...keys.set.map(([key, value]): Statement => ['putKey', [id, key, value]]),
    ...devices.removed.map((name): Statement => ['deleteDevice', [id, name]]),
    ...devices.set.map(([name, device]): Statement => ['putDevice', [id, name, JSON.stringify([...device])]]),
    ...events.map(({ timestamp, type, text }): Statement => ['putEvent', [id, timestamp, type, text]]),
    ...(events.length > 0 ? [['trimEvents', [id, id, keptEvents]] satisfies Statement] : []),
  ];
}

function instancesOf({ instances, keys, devices }: Rows): Instance[] {
  const configs = new Map<number, Map<string, string>>();
  for (const [id, key, value] of keys) bucket(configs, id).set(key, value);
  const deviceMaps = new Map<number, Map<string, Device>>();
  for (const [id, name, options] of devices) bucket(deviceMaps, id).set(name, new Map(JSON.parse(options)));
  return instances.map(([id, project, name, createdAt, guestState, pid, startTicks, bootId]) => ({
    id,
    project,
    name,
    createdAt,
    guestState: guestState as GuestState,
    config: configs.get(id) ?? new Map(),
    devices: deviceMaps.get(id) ?? new Map(),
    run: pid === null ? undefined : { pid, startTicks: startTicks ?? 0, bootId: bootId ?? '' },
  }));
}

function imageOf([fingerprint, filename, type, isPublic, cached, properties, files, uploadedAt]: ImageRow): Image {
  return {
    fingerprint,
    filename,
    type: type as ImageType,
    public: isPublic === 1,
    cached: cached === 1,
    properties: JSON.parse(properties),
    files: JSON.parse(files),
    uploadedAt,
  };
}

function bucket<Value>(maps: Map<number, Map<string, Value>>, id: number): Map<string, Value> {
  const known = maps.get(id);
  if (known !== undefined) return known;
  const made = new Map<string, Value>();
  maps.set(id, made);
  return made;
}

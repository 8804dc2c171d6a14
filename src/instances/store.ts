import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Fault, type FaultCode } from '../errors.js';
import { type Change, differenceOf, sameDevice } from './changes.js';
import type { Device, GuestState, Instance } from './model.js';
import type { Answer, Rows, Statement } from './store-worker.js';

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

  /** Every instance that is stored. */
  async load(): Promise<Instance[]> {
    const answer = await this.#ask('load');
    return instancesOf(answer.rows as Rows);
  }

  /**
   * Writes all changes in one transaction and waits until they are on the disk.
   * @throws Fault store-full or store-failed; nothing was written then
   */
  async commit(changes: readonly Change[]): Promise<void> {
    await this.#ask(changes.flatMap(statementsOf));
  }

  /** Moves the log into the database file and closes it. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#worker = undefined;
    const exit = once(worker, 'exit');
    worker.postMessage('close');
    await exit;
  }

  #ask(request: 'load' | Statement[] | undefined): Promise<Answer> {
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

function statementsOf({ before, after }: Change): Statement[] {
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

function bucket<Value>(maps: Map<number, Map<string, Value>>, id: number): Map<string, Value> {
  const known = maps.get(id);
  if (known !== undefined) return known;
  const made = new Map<string, Value>();
  maps.set(id, made);
  return made;
}

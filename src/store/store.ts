import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Turn } from '../concurrency/turn.js';
import { Fault, type FaultCode } from '../errors.js';
import type { Written } from '../model/changes.js';
import type { EventType, GuestEvent } from '../model/guest-events.js';
import type { IdentityKey } from '../model/identity-key.js';
import type { Image, ImageType } from '../model/image.js';
import { OpenCommit } from './open-commit.js';
import { type Loaded, Loading } from './rows.js';
import type { Answer, ImageRow, Request, Rows } from './store-worker.js';
import { StatementList } from './writer.js';

const closed = { code: 'store-closed', detail: 'The daemon is stopping; ask again.' } as const;

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
  #exit: Promise<void> = Promise.resolve();
  #closed = false;

  /**
   * stateDir: made (0700) when it does not exist
   * @throws Fault store-failed
   */
  constructor(stateDir: string) {
    this.#file = join(stateDir, 'devlxd.db');
    try {
      prepare(stateDir, this.#file);
    } catch (error) {
      throw new Fault('store-failed', `The --state-dir cannot be used: ${(error as Error).message}`, error);
    }
  }

  /** @throws Fault store-locked, store-newer or store-damaged */
  async open(): Promise<void> {
    const worker = new Worker(new URL('./store-worker.js', import.meta.url), { workerData: this.#file });
    worker.on('message', (answer: Answer) => this.#waiting.shift()?.resolve(answer));
    worker.on('error', (error) => this.#fail(error));
    this.#exit = new Promise((resolve) => worker.once('exit', () => resolve())); // one that cannot open it ends at once
    this.#worker = worker;
    await this.#ask(undefined);
  }

  /**
   * Looks whether all of it is right. What is asked for later waits: nothing is written before the result.
   * @throws Fault store-damaged; then nothing is written at all
   */
  async check(): Promise<void> {
    await this.#ask({ kind: 'check' });
  }

  /**
   * Everything that is stored, but the events.
   * @throws Fault store-damaged
   */
  async load(): Promise<Loaded> {
    const { rows } = await this.#ask({ kind: 'load' });
    const loading = this.#read(() => new Loading(rows as Rows));
    let next = this.#ask({ kind: 'instances', after: 0 });
    for (;;) {
      const { instances } = await next;
      if (instances?.last === undefined) return loading.loaded;
      next = this.#ask({ kind: 'instances', after: instances.last }); // is read while these are taken in
      next.catch(() => undefined); // it is awaited, unless these are damaged
      this.#read(() => loading.add(JSON.parse(instances.rows)));
    }
  }

  /**
   * The events of an instance after a timestamp, oldest first; undefined when some of them are not kept any more, or
   * they are longer than that. mostBytes: 0: any length
   */
  async eventsAfter(instanceId: number, timestamp: string, mostBytes: number): Promise<GuestEvent[] | undefined> {
    const { events } = await this.#ask({ kind: 'events', instanceId, timestamp, mostBytes });
    return events?.map(([stamp, type, text]) => ({ timestamp: stamp, type: type as EventType, text }));
  }

  /**
   * Writes all changes in one transaction and waits until they are on the disk. Of many the first are written while the
   * others are made ready.
   * @throws Fault store-full or store-failed; nothing was written then
   */
  async commit(changes: readonly Written[]): Promise<void> {
    const turn = new Turn();
    const commit = this.begin();
    try {
      for (const change of changes) {
        commit.add(change);
        const pause = turn.end();
        if (pause !== undefined) await pause;
      }
    } catch (error) {
      commit.giveUp();
      throw error;
    }
    await commit.end();
  }

  /** The same for changes that are made meanwhile. What is read of the store waits for its end. */
  begin(): OpenCommit {
    return new OpenCommit({
      ask: (request) => this.#ask(request),
      send: (request) => this.#worker?.postMessage(request),
    });
  }

  async loadImages(): Promise<Image[]> {
    const { images } = await this.#ask({ kind: 'images' });
    return this.#read(() => (images ?? []).map(imageOf));
  }

  /**
   * Durable when it is done, like a commit.
   * @throws Fault store-full or store-failed
   */
  async putImage(image: Image): Promise<void> {
    const { fingerprint, filename, type, properties, files, uploadedAt } = image;
    const texts = [JSON.stringify(properties), JSON.stringify(files), uploadedAt];
    const row = [fingerprint, filename, type, Number(image.public), Number(image.cached), ...texts];
    await this.#write(StatementList.of('putImage', ...row));
  }

  /** Like putImage. */
  async removeImage(fingerprint: string): Promise<void> {
    await this.#write(StatementList.of('deleteImage', fingerprint));
  }

  async loadIdentityKeys(): Promise<IdentityKey[]> {
    const { identityKeys = [] } = await this.#ask({ kind: 'identity-keys' });
    return identityKeys.map(([kid, privateKey, createdAt, signsFrom]) => ({
      kid,
      privateKey,
      createdAt,
      signsFrom: signsFrom ?? undefined,
    }));
  }

  /**
   * Durable when it is done, like a commit, and all or nothing. removed: their kids
   * @throws Fault store-full or store-failed
   */
  async writeIdentityKeys(put: readonly IdentityKey[], removed: readonly string[]): Promise<void> {
    const list = new StatementList();
    for (const { kid, privateKey, createdAt, signsFrom } of put)
      list.add('putIdentityKey', kid, privateKey, createdAt, signsFrom ?? null);
    for (const kid of removed) list.add('deleteIdentityKey', kid);
    await this.#write(list);
  }

  /** What was kept of a source; undefined: nothing */
  async loadSourceState(name: string): Promise<string | undefined> {
    return (await this.#ask({ kind: 'source-state', name })).sourceState;
  }

  /**
   * Durable when it is done, like a commit.
   * @throws Fault store-full or store-failed
   */
  async putSourceState(name: string, state: string): Promise<void> {
    await this.#write(StatementList.of('putSourceState', name, state));
  }

  /**
   * Writes everything that is durable into a new file; it must not exist yet.
   * @throws Fault store-full or store-failed
   */
  async copyTo(file: string): Promise<void> {
    await this.#ask({ kind: 'copy', file });
  }

  /** Moves the log into the database file and closes it. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#closed = true;
    if (worker === undefined) return;
    this.#worker = undefined;
    worker.postMessage({ kind: 'close' } satisfies Request);
    await this.#exit;
    for (const { resolve } of this.#waiting.splice(0)) resolve({ fault: closed });
  }

  /** What cannot be read was not written by us. */
  #read<Result>(rows: () => Result): Result {
    try {
      return rows();
    } catch (error) {
      throw this.#faultOf({ code: 'store-damaged', detail: (error as Error).message });
    }
  }

  async #write(list: StatementList): Promise<void> {
    await this.#ask({ kind: 'write', statements: list.take() });
  }

  #ask(request: Request | undefined): Promise<Answer> {
    const worker = this.#worker;
    if (this.#closed) return Promise.reject(this.#faultOf(closed));
    if (worker === undefined) return Promise.reject(new Fault('store-failed', 'The store has failed.'));
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

function prepare(stateDir: string, file: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  closeSync(openSync(file, 'a', 0o600)); // it holds private keys; SQLite gives its log the same mode
  // Copies that a process did not live to send.
  for (const name of readdirSync(stateDir)) {
    if (name.startsWith('devlxd.db.copy-')) rmSync(join(stateDir, name), { force: true });
  }
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

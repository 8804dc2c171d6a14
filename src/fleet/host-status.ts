import { randomUUID } from 'node:crypto';
import { type EtcdConnection, mostOperations } from '../etcd/etcd-connection.js';
import type { Operation } from '../etcd/etcd-messages.js';
import { keyOf } from '../instances/record-table.js';
import type { Registry } from '../instances/registry.js';
import { type Instance, statusOf } from '../model/instance.js';
import { version } from '../package-root.js';
import { objectIn } from './fleet-hosts.js';
import type { FleetKeys } from './fleet-keys.js';
import type { WaveShown } from './waves.js';

/** Between two notes of when this host was there. */
const seenMilliseconds = 120_000;

/** A host that says nothing for this long is away. */
const leaseSeconds = 30;

/** Another daemon follows the fleet under the name of this host. */
export class NameTaken extends Error {
  override readonly name = 'NameTaken';
}

/** What the fleet is told of this host, beside its instances. */
export interface HostFacts {
  /** revision of the newest change that is stored and told to guests */
  readonly applied: string;
  /** why nothing is applied; '': it is */
  readonly held: string;
  readonly refused: readonly { readonly name: string; readonly why: string }[];
  /** changes that it takes later than others */
  readonly later: readonly WaveShown[];
}

/** Asked each second, for what there is to be told. */
interface Facts {
  readonly host: () => HostFacts;
  /** the JWK set that verifies this host's identity documents, as JSON */
  readonly keys: () => string;
}

/**
 * Tells the fleet what is so here: of this host, with a lease, and of each of its instances whether it runs, without
 * one: when the host is not there, nobody knows.
 */
export class HostStatus {
  readonly #keys: FleetKeys;
  readonly #host: string;
  readonly #daemon: string;
  readonly #registry: Registry;
  readonly #facts: Facts;
  /** by which the name is kept from a daemon with a copy of our store */
  readonly #process = randomUUID();
  #hasHeld = false;
  /** by project/name: instances whose status may be another than what was told */
  readonly #dirty = new Set<string>();
  /** by project/name: what was told */
  readonly #told = new Map<string, string>();
  #isCompared = false;
  #lease = '';
  #renewed = 0;
  /** of the key of this host, as we have written it last */
  #revision = '0';
  #text = '';
  /** when it was noted that this host is there, milliseconds of performance.now() */
  #seen = Number.NEGATIVE_INFINITY;
  /** what was told of the keys of identity documents */
  #keysText = '';

  /** daemon: by which this daemon knows what it has written itself, also before a restart */
  constructor(keys: FleetKeys, host: string, daemon: string, registry: Registry, facts: Facts) {
    this.#keys = keys;
    this.#host = host;
    this.#daemon = daemon;
    this.#registry = registry;
    this.#facts = facts;
    // Also of instances that do not run, which 'changes' leaves out.
    registry.on('written', (change) => {
      if (change.kind !== 'instance') return;
      for (const instance of [change.before, change.after]) if (instance?.source === 'etcd') this.#note(instance);
    });
    for (const instance of registry.instances()) if (instance.source === 'etcd') this.#note(instance);
  }

  /**
   * Makes the name of this host ours for as long as it is renewed.
   * @throws NameTaken
   */
  async claim(connection: EtcdConnection): Promise<void> {
    const key = this.#keys.hostStatus(this.#host);
    const before = await connection.get(key);
    if (before !== undefined) this.#checkOwner(before.value);
    this.#lease = await connection.lease(leaseSeconds);
    this.#renewed = performance.now();
    this.#revision = before?.mod_revision ?? '0';
    this.#text = '';
    if (!(await this.#putHost(connection))) throw this.#taken('another daemon');
    this.#hasHeld = true;
  }

  /**
   * After a restart the name is taken over from the process before. One that has had it and lost it to another process of
   * the same daemon has met a copy of itself: the newest one keeps the name, and they do not take turns.
   */
  #checkOwner(value: Buffer): void {
    const { daemon, process } = objectIn(value);
    if (daemon !== this.#daemon) throw this.#taken('another daemon');
    if (this.#hasHeld && process !== this.#process)
      throw this.#taken('another daemon, with a copy of the store of this one,');
  }

  /**
   * Once a second, while etcd is there.
   * @throws NameTaken
   */
  async tell(connection: EtcdConnection): Promise<void> {
    await this.#renew(connection);
    if (this.#hostText() !== this.#text && !(await this.#putHost(connection))) await this.claim(connection);
    if (!this.#isCompared) await this.#compare(connection);
    await this.#tellKeys(connection);
    if (performance.now() - this.#seen > seenMilliseconds) await this.#noteSeen(connection);
    while (this.#dirty.size > 0) await this.#tellSome(connection, [...this.#dirty].slice(0, mostOperations));
  }

  /** This host is not there any more. */
  async leave(connection: EtcdConnection): Promise<void> {
    if (this.#lease === '') return;
    await this.#noteSeen(connection);
    await connection.revoke(this.#lease);
  }

  /** Without a lease, so that it is known for how long a host has been away. */
  async #noteSeen(connection: EtcdConnection): Promise<void> {
    const value = JSON.stringify({ at: new Date().toISOString() });
    await connection.write([{ put: this.#keys.seen(this.#host), value }]);
    this.#seen = performance.now();
  }

  async #renew(connection: EtcdConnection): Promise<void> {
    if (performance.now() - this.#renewed < (leaseSeconds * 1000) / 3) return;
    const isOver = (await connection.keepAlive(this.#lease)) <= 0;
    if (isOver || (await connection.get(this.#keys.hostStatus(this.#host)))?.mod_revision !== this.#revision)
      return this.claim(connection);
    this.#renewed = performance.now();
  }

  async #putHost(connection: EtcdConnection): Promise<boolean> {
    const key = this.#keys.hostStatus(this.#host);
    const text = this.#hostText();
    const put = [{ put: key, value: text, lease: this.#lease }];
    const { succeeded, header } = await connection.write(put, [{ key, revision: this.#revision }]);
    if (!succeeded) return false;
    this.#revision = header.revision;
    this.#text = text;
    return true;
  }

  #hostText(): string {
    const counts = { instances: 0, running: 0 };
    for (const { source, run } of this.#registry.instances()) {
      if (source !== 'etcd') continue;
      counts.instances++;
      if (run !== undefined) counts.running++;
    }
    const { applied, held, refused, later } = this.#facts.host();
    return JSON.stringify({
      ...counts,
      applied,
      held,
      refused,
      later,
      version,
      daemon: this.#daemon,
      process: this.#process,
    });
  }

  /** Without a lease: documents are verified while the host is away, too. */
  async #tellKeys(connection: EtcdConnection): Promise<void> {
    const text = this.#facts.keys();
    if (text === this.#keysText) return;
    await connection.write([{ put: this.#keys.identityKeys(this.#host), value: text }]);
    this.#keysText = text;
  }

  /** What an earlier process has told may be of instances that are gone. */
  async #compare(connection: EtcdConnection): Promise<void> {
    const prefix = `${this.#keys.status(this.#host)}instance/`;
    await connection.range(prefix, ({ key, value }) => {
      const name = key.toString().slice(prefix.length);
      this.#told.set(name, value.toString());
      this.#dirty.add(name);
    });
    this.#isCompared = true;
  }

  async #tellSome(connection: EtcdConnection, names: readonly string[]): Promise<void> {
    const wanted = names.map((name) => [name, this.#textOf(name)] as const);
    const operations = wanted.flatMap(([name, text]): Operation[] => {
      const key = `${this.#keys.status(this.#host)}instance/${name}`;
      if (this.#told.get(name) === text) return [];
      return text === undefined ? [{ remove: key }] : [{ put: key, value: text }];
    });
    for (const name of names) this.#dirty.delete(name);
    try {
      if (operations.length > 0) await connection.write(operations);
    } catch (error) {
      for (const name of names) this.#dirty.add(name);
      throw error;
    }
    for (const [name, text] of wanted) {
      if (text === undefined) this.#told.delete(name);
      else this.#told.set(name, text);
    }
  }

  /** undefined: the fleet has no such instance here */
  #textOf(key: string): string | undefined {
    const [project = '', name = ''] = key.split('/');
    const instance = this.#registry.get(project, name);
    if (instance?.source !== 'etcd') return undefined;
    return JSON.stringify({ running: instance.run !== undefined, ready: statusOf(instance) === 'Ready' });
  }

  #note({ project, name }: Instance): void {
    this.#dirty.add(keyOf(project, name));
  }

  #taken(by: string): NameTaken {
    return new NameTaken(
      `${by} follows the fleet as "${this.#host}": give each host its own --etcd-host; a daemon that is gone is forgotten after ${leaseSeconds} s`,
    );
  }
}

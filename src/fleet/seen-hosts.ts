import type { KeyValue } from '../etcd/etcd-messages.js';
import { keyOf } from '../instances/record-table.js';
import type { InstanceStatus, Placement } from '../model/instance.js';
import { isFields } from './desired.js';
import { objectIn, type Told, toldIn } from './fleet-hosts.js';

/** What a host publishes is shown with that of all others: no host makes it long. */
const mostKeysBytes = 64 * 1024;

/** A host as an endpoint of the fleet sees it. */
export class SeenHost implements Placement {
  readonly host: string;
  /** what it tells; undefined: it is away */
  told: Told | undefined;
  /** the JWKs that verify its identity documents, which are told without a lease */
  identityKeys: readonly object[] = [];
  /** which keys it has in etcd, beside those of its instances */
  readonly kinds = new Set<string>();
  readonly #instances = new Map<string, InstanceStatus>();

  constructor(host: string) {
    this.host = host;
  }

  /** Has it told anything that is still in etcd? */
  get tells(): boolean {
    return this.kinds.size + this.#instances.size > 0;
  }

  statusOf(project: string, name: string): InstanceStatus {
    if (this.told === undefined) return 'Error';
    return this.#instances.get(keyOf(project, name)) ?? 'Stopped';
  }

  /** @returns what it told before of the instance */
  tell(key: string, status: InstanceStatus): InstanceStatus {
    const before = this.#instances.get(key) ?? 'Stopped';
    if (status === 'Stopped') this.#instances.delete(key);
    else this.#instances.set(key, status);
    return before;
  }

  /** The instances that it has told something of. */
  get instances(): string[] {
    return [...this.#instances.keys()];
  }
}

/** Told when a host says something else of an instance than before. */
export type StatusChanged = (
  host: SeenHost,
  project: string,
  name: string,
  before: InstanceStatus,
  after: InstanceStatus,
) => void;

/** All hosts that are named in etcd, or tell something there. */
export class SeenHosts {
  readonly #hosts = new Map<string, SeenHost>();
  readonly #changed: StatusChanged;
  readonly #waiting = new Set<() => void>();
  readonly #placed: () => ReadonlySet<Placement>;
  /** what has been read since `beginRead` */
  #read: Set<string> | undefined;

  /** placed: the hosts that instances are on */
  constructor(changed: StatusChanged, placed: () => ReadonlySet<Placement>) {
    this.#changed = changed;
    this.#placed = placed;
  }

  /** Made when it was not known. */
  get(host: string): SeenHost {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    const made = new SeenHost(host);
    this.#hosts.set(host, made);
    return made;
  }

  /** undefined: there is no such host, or not any more */
  known(name: string): SeenHost | undefined {
    const host = this.#hosts.get(name);
    return host === undefined || host.tells || this.#placed().has(host) ? host : undefined;
  }

  /** By name. */
  list(): SeenHost[] {
    const all = [...this.#hosts.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
    if (all.every(({ tells }) => tells)) return all;
    const placed = this.#placed();
    return all.filter((host) => host.tells || placed.has(host));
  }

  /** rest: of the key, behind status/: HOST/host or HOST/instance/PROJECT/NAME */
  take(rest: string, kv: KeyValue, isGone: boolean): void {
    const [name = '', kind, project, instance, ...more] = rest.split('/');
    const host = this.get(name);
    this.#read?.add(rest);
    if (kind !== undefined && project === undefined) {
      if (isGone) this.#forget(host, kind);
      else host.kinds.add(kind);
      if (kind === 'host' && !isGone) host.told = toldIn(kv.value);
      if (kind === 'keys' && !isGone) host.identityKeys = keysIn(kv.value);
    } else if (kind === 'instance' && project && instance && more.length === 0)
      this.#tell(host, keyOf(project, instance), isGone ? 'Stopped' : statusIn(kv.value));
    this.#look();
  }

  #tell(host: SeenHost, key: string, after: InstanceStatus): void {
    const before = host.tell(key, after);
    const [project = '', name = ''] = key.split('/');
    if (before !== after) this.#changed(host, project, name, before, after);
  }

  #look(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** All hosts are read anew. */
  beginRead(): void {
    this.#read = new Set();
  }

  /** What was not read is not there any more. */
  endRead(): void {
    const read = this.#read;
    this.#read = undefined;
    for (const host of this.#hosts.values()) {
      for (const kind of host.kinds) if (!read?.has(`${host.host}/${kind}`)) this.#forget(host, kind);
      for (const key of host.instances)
        if (!read?.has(`${host.host}/instance/${key}`)) this.#tell(host, key, 'Stopped');
    }
    this.#look();
  }

  #forget(host: SeenHost, kind: string): void {
    host.kinds.delete(kind);
    if (kind === 'host') host.told = undefined;
    if (kind === 'keys') host.identityKeys = [];
  }

  /** When is holds, which is asked again whenever a host has told something; at the latest when signal aborts. */
  until(is: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!is() && !signal.aborted) return;
        this.#waiting.delete(look);
        signal.removeEventListener('abort', look);
        resolve();
      };
      this.#waiting.add(look);
      signal.addEventListener('abort', look);
      look();
    });
  }
}

function statusIn(value: Buffer): InstanceStatus {
  const { running, ready } = objectIn(value);
  if (running !== true) return 'Stopped';
  return ready === true ? 'Ready' : 'Running';
}

/** The members of a JWK that verifies a signature are text. */
function keysIn(value: Buffer): readonly object[] {
  const { keys } = value.length > mostKeysBytes ? {} : objectIn(value);
  const isKey = (key: unknown): key is object =>
    isFields(key) && Object.values(key).every((member) => typeof member === 'string');
  return Array.isArray(keys) ? keys.filter(isKey) : [];
}

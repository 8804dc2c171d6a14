import type { KeyValue } from '../etcd/etcd-messages.js';
import { keyOf } from '../instances/record-table.js';
import type { InstanceStatus, Placement } from '../model/instance.js';
import { objectIn, type Told, toldIn } from './fleet-hosts.js';

/** A host as an endpoint of the fleet sees it. */
export class SeenHost implements Placement {
  readonly host: string;
  /** what it tells; undefined: it is away */
  told: Told | undefined;
  /** the JWKs that verify its identity documents, which are told without a lease */
  identityKeys: readonly object[] = [];
  readonly #instances = new Map<string, InstanceStatus>();

  constructor(host: string) {
    this.host = host;
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
  /** what has been read since `beginRead` */
  #read: Set<string> | undefined;

  constructor(changed: StatusChanged) {
    this.#changed = changed;
  }

  /** Made when it was not known. */
  get(host: string): SeenHost {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    const made = new SeenHost(host);
    this.#hosts.set(host, made);
    return made;
  }

  known(host: string): SeenHost | undefined {
    return this.#hosts.get(host);
  }

  /** By name. */
  list(): SeenHost[] {
    return [...this.#hosts.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  /** rest: of the key, behind status/: HOST/host or HOST/instance/PROJECT/NAME */
  take(rest: string, kv: KeyValue, isGone: boolean): void {
    const [name = '', kind, project, instance, ...more] = rest.split('/');
    const host = this.get(name);
    this.#read?.add(rest);
    if (kind === 'host' && project === undefined) host.told = isGone ? undefined : toldIn(kv.value);
    else if (kind === 'keys' && project === undefined) host.identityKeys = isGone ? [] : keysIn(kv.value);
    else if (kind === 'instance' && project && instance && more.length === 0)
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
      if (!read?.has(`${host.host}/host`)) host.told = undefined;
      for (const key of host.instances)
        if (!read?.has(`${host.host}/instance/${key}`)) this.#tell(host, key, 'Stopped');
    }
    this.#look();
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

function keysIn(value: Buffer): readonly object[] {
  const { keys } = objectIn(value);
  return Array.isArray(keys) ? keys.filter((key) => typeof key === 'object' && key !== null) : [];
}

import { Fault } from '../errors.js';
import { type EtcdConnection, mostOperations } from '../etcd/etcd-connection.js';
import type { Condition, KeyValue, Operation } from '../etcd/etcd-messages.js';
import type { RecordStore } from '../instances/jobs.js';
import type { Change, ProfileChange, ProjectChange, Written } from '../model/changes.js';
import { defaultProfile, defaultProject, type Instance, type Profile, type Project } from '../model/instance.js';
import type { Loaded } from '../store/rows.js';
import { etcdFault } from './etcd-fault.js';
import type { FleetKeys } from './fleet-keys.js';
import type { KnownKeys } from './known-keys.js';
import { instanceText, profileText, projectText } from './written.js';

/** A key is another than it was known as: nothing was written. */
export class Overtaken extends Error {
  override readonly name = 'Overtaken';
  /** what the keys are now */
  readonly found: readonly { readonly key: string; readonly kv: KeyValue | undefined }[];
  readonly revision: string;

  constructor(found: Overtaken['found'], revision: string) {
    super('it was changed by another at the same time');
    this.found = found;
    this.revision = revision;
  }
}

/** What is asked of etcd for one transaction. */
class Request {
  readonly operations: Operation[] = [];
  readonly #conditions = new Map<string, Condition>();

  /** value: undefined: it goes. revision: at which it must still be */
  change(key: string, revision: string, value?: string): void {
    this.operations.push(value === undefined ? { remove: key } : { put: key, value });
    this.#conditions.set(key, { key, revision });
  }

  exists(key: string): void {
    if (!this.#conditions.has(key)) this.#conditions.set(key, { exists: key });
  }

  quiet(prefix: string, since: string): void {
    this.#conditions.set(prefix, { quiet: prefix, since });
  }

  get conditions(): Condition[] {
    return [...this.#conditions.values()];
  }
}

/** What a commit depends on that only the view of the fleet knows. */
interface Shown {
  /** Has any instance this profile? */
  uses(profile: Profile): boolean;
  /** Why is what etcd has under this key not shown? undefined: it is */
  whyNot(key: string): string | undefined;
}

/**
 * The records of a whole fleet: a commit is one transaction of etcd, which holds only if every key is still as it was
 * seen here.
 */
export class FleetStore implements RecordStore {
  readonly transactionsAtOnce = 1; // what is refused is refused alone
  readonly #keys: FleetKeys;
  readonly #known: KnownKeys;
  readonly #connection: () => EtcdConnection;
  readonly #shown: Shown;
  #isTaken = false;

  /** connection: @throws Fault fleet-away */
  constructor(keys: FleetKeys, known: KnownKeys, connection: () => EtcdConnection, shown: Shown) {
    this.#keys = keys;
    this.#known = known;
    this.#connection = connection;
    this.#shown = shown;
  }

  /** The next commit has come from etcd, and is not to be written there; or else it is. */
  next(isTaken: boolean): void {
    this.#isTaken = isTaken;
  }

  /** What there is before anything is said of it. */
  async load(): Promise<Loaded> {
    const [config, devices] = [new Map(), new Map()];
    const project: Project = {
      id: 1,
      project: '',
      name: defaultProject,
      description: 'Default devlxd project',
      config,
    };
    const described = { description: 'Default devlxd profile', config, devices, changedAt: '' };
    const profile: Profile = { id: 1, project: defaultProject, name: defaultProfile, ...described };
    return { instances: [], profiles: [profile], projects: [project], seedless: new Set(), lastEvent: undefined };
  }

  /** Events are those of guests, which are on their hosts. */
  async eventsAfter(): Promise<undefined> {}

  /** @throws Overtaken, Fault */
  async commit(changes: readonly Written[]): Promise<void> {
    if (this.#isTaken) return;
    const request = new Request();
    for (const change of changes) {
      if (change.kind === 'instance') this.#instance(request, change);
      else if (change.kind === 'profile') this.#profile(request, change);
      else this.#project(request, change);
    }
    if (request.operations.length === 0) return;
    await this.#write(request);
  }

  async #write({ operations, conditions }: Request): Promise<void> {
    const count = Math.max(operations.length, conditions.length);
    if (count > mostOperations) {
      const sentence = `this takes ${count} operations of etcd, and one transaction has at most ${mostOperations}; change fewer at once`;
      throw new Fault('invalid-value', sentence);
    }
    const { succeeded, header, found } = await this.#connection().write(operations, conditions).catch(etcdFault);
    if (!succeeded) {
      const keys = conditions.flatMap((condition) => ('key' in condition ? [condition.key] : []));
      throw new Overtaken(
        keys.map((key, index) => ({ key, kv: found[index] })),
        header.revision,
      );
    }
    for (const operation of operations) {
      if ('put' in operation) this.#known.put(operation.put, header.revision);
      else this.#known.remove(operation.remove, header.revision);
    }
  }

  #instance(request: Request, { before, after }: Change): void {
    const [from, to] = [this.#keyOf(before), this.#keyOf(after)];
    if (before !== undefined && after !== undefined && from === to) {
      if (instanceText(before) !== instanceText(after)) this.#describe(request, to, after);
      return;
    }
    const [left, taken] = [this.#placeOf(before), this.#placeOf(after)];
    if (before !== undefined) this.#change(request, from);
    if (before !== undefined && left !== taken) this.#change(request, left);
    if (after === undefined) return;
    this.#checkFree(to);
    this.#describe(request, to, after);
    this.#change(request, taken, after.placement?.host);
  }

  #describe(request: Request, key: string, instance: Instance): void {
    this.#change(request, key, instanceText(instance));
    for (const { project, name } of instance.profiles)
      if (name !== defaultProfile) request.exists(this.#keys.profile(project, name));
  }

  #placeOf(instance: Instance | undefined): string {
    return instance === undefined ? '' : this.#keys.place(instance.project, instance.name);
  }

  #keyOf(instance: Instance | undefined): string {
    if (instance === undefined) return '';
    return this.#keys.instance(instance.placement?.host ?? '', instance.project, instance.name);
  }

  #profile(request: Request, { before, after }: ProfileChange): void {
    const key = (profile: Profile): string => this.#keys.profile(profile.project, profile.name);
    const isMoved = before !== undefined && (after === undefined || key(before) !== key(after));
    if (isMoved) {
      if (this.#shown.uses(before))
        throw new Fault('in-use', `The profile "${before.name}" is in use; make another one, and assign that`);
      request.quiet(this.#keys.hosts, this.#known.instancesUpTo);
      if (this.#known.has(key(before))) this.#change(request, key(before));
    }
    if (after === undefined) return;
    const text = profileText(after);
    const isEmpty = after.config.size + after.devices.size === 0;
    // Each project has one, which is a key from the moment at which something is in it.
    if (before === undefined && after.name === defaultProfile && isEmpty) return;
    if (before !== undefined && !isMoved && text === profileText(before)) return;
    if (before === undefined || isMoved) this.#checkFree(key(after));
    this.#change(request, key(after), text);
  }

  #project(request: Request, { before, after }: ProjectChange): void {
    const isMoved = before !== undefined && before.name !== after?.name;
    if (isMoved) {
      request.quiet(this.#keys.hosts, this.#known.instancesUpTo);
      if (this.#known.has(this.#keys.project(before.name))) this.#change(request, this.#keys.project(before.name));
    }
    if (after !== undefined) this.#change(request, this.#keys.project(after.name), projectText(after));
  }

  #change(request: Request, key: string, value?: string): void {
    request.change(key, this.#known.revisionOf(key), value);
  }

  /** What is not shown, since it cannot be read or lacks something for now, is nobody's to overwrite. */
  #checkFree(key: string): void {
    if (!this.#known.has(key)) return;
    const why = this.#shown.whyNot(key) ?? 'it has just come';
    throw new Fault('already-exists', `${key} already exists in etcd, and is not shown: ${why}; mend or delete it`);
  }
}

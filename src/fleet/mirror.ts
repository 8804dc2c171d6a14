import type { Header, KeyValue } from '../etcd/etcd-messages.js';
import { keyOf } from '../instances/record-table.js';
import type { Limits } from '../limits/limits.js';
import { isText } from '../text/utf8.js';
import {
  type DesiredInstance,
  type DesiredProfile,
  type DesiredProject,
  instanceIn,
  profileIn,
  projectIn,
  type Read,
} from './desired.js';
import { type DesiredImage, imageIn } from './desired-image.js';
import type { FleetKeys } from './fleet-keys.js';

/** The two ranges of keys that a host follows. */
export type RangeName = 'instances' | 'shared';

/** What a key is about. project: '' of projects themselves, and of images; name: of an image, its fingerprint */
export interface Subject {
  readonly kind: 'instance' | 'profile' | 'project' | 'image';
  readonly project: string;
  readonly name: string;
}

/** A key that was seen at a revision, by which a history is recognised. */
export interface Mark {
  readonly key: string;
  readonly revision: string;
}

/** What etcd says for this host, as far as it has been read: nobody who is told of a change has to ask again. */
export class Mirror {
  readonly cluster: string;
  readonly instances = new Map<string, Read<DesiredInstance>>();
  readonly profiles = new Map<string, Read<DesiredProfile>>();
  readonly projects = new Map<string, Read<DesiredProject>>();
  /** by /fingerprint */
  readonly images = new Map<string, Read<DesiredImage>>();
  /** by project/name: at which each profile was put */
  readonly profileRevisions = new Map<string, string>();
  /** by range: everything up to it is here */
  readonly done: Record<RangeName, bigint>;
  /** of the newest change that is here; it stands still while others' keys change */
  newest: bigint;
  mark: Mark | undefined;
  readonly #prefixes: Readonly<Record<RangeName, string>>;
  readonly #limits: Limits;

  /** header: of the revision at which everything is read */
  constructor(keys: FleetKeys, host: string, limits: Limits, { cluster_id: cluster, revision }: Header) {
    this.#prefixes = { instances: keys.instances(host), shared: keys.shared };
    this.#limits = limits;
    this.cluster = cluster;
    this.newest = BigInt(revision);
    this.done = { instances: this.newest, shared: this.newest };
  }

  /** Is everything here, of both ranges, that was changed before the newest change? */
  get isWhole(): boolean {
    return this.done.instances >= this.newest && this.done.shared >= this.newest;
  }

  /** @returns what has changed; undefined: nothing that is known here */
  take(range: RangeName, { key, value, mod_revision: revision }: KeyValue, gone: boolean): Subject | undefined {
    if (BigInt(revision) > this.newest) this.newest = BigInt(revision);
    const text = key.toString();
    // Asked for again as text, which what is no UTF-8 would not be found by.
    if (!gone && isText(key) && (this.mark === undefined || BigInt(revision) > BigInt(this.mark.revision))) {
      this.mark = { key: text, revision };
    }
    const subject = subjectOf(range, text.slice(this.#prefixes[range].length));
    if (subject !== undefined) this.#put(subject, gone ? undefined : value, revision);
    return subject;
  }

  /** Does the fleet name this instance, whether or not what it says of it is understood? */
  names(project: string, name: string): boolean {
    return this.instances.has(keyOf(project, name));
  }

  #put({ kind, project, name }: Subject, value: Buffer | undefined, revision: string): void {
    const key = keyOf(project, name);
    if (kind === 'profile' && value !== undefined) this.profileRevisions.set(key, revision);
    else if (kind === 'profile') this.profileRevisions.delete(key);
    if (value === undefined) this.#tableOf(kind).delete(key);
    else if (kind === 'instance') this.instances.set(key, instanceIn(project, name, value, this.#limits));
    else if (kind === 'profile') this.profiles.set(key, profileIn(project, name, value, this.#limits));
    else if (kind === 'project') this.projects.set(key, projectIn(name, value));
    else this.images.set(key, imageIn(name, value));
  }

  #tableOf(kind: Subject['kind']): Map<string, unknown> {
    const { instances: instance, profiles: profile, projects: project, images: image } = this;
    return { instance, profile, project, image }[kind];
  }
}

/** rest: what follows the prefix of the range */
function subjectOf(range: RangeName, rest: string): Subject | undefined {
  const parts = rest.split('/');
  if (parts.includes('')) return undefined;
  const [kind, ...names] = range === 'instances' ? ['instance', ...parts] : parts;
  const [first = '', second = '', ...more] = names;
  if (more.length > 0) return undefined;
  if ((kind === 'project' || kind === 'image') && names.length === 1) return { kind, project: '', name: first };
  if ((kind === 'instance' || kind === 'profile') && names.length === 2) {
    return { kind, project: first, name: second };
  }
  return undefined;
}

/** As it is called in the log and in the status: instance default/web1 */
export function labelOf({ kind, project, name }: Subject): string {
  return `${kind} ${project === '' ? name : keyOf(project, name)}`;
}

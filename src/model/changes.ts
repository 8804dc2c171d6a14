import type { GuestEvent } from './guest-events.js';
import type { Instance, Profile, Project } from './instance.js';

/** One durable change of one thing. before undefined: created; after undefined: deleted. */
export interface Change<Of = Instance> {
  readonly before: Of | undefined;
  readonly after: Of | undefined;
}

/** A change with what its guest hears of it; both are written together. */
export interface WrittenChange extends Change {
  readonly events: readonly GuestEvent[];
}

export type ProfileChange = { readonly kind: 'profile' } & Change<Profile>;
export type ProjectChange = { readonly kind: 'project' } & Change<Project>;

/** What a transaction changes, one entry for each thing and step. */
export type AnyChange = DraftedChange | ProfileChange | ProjectChange;

/** Of an instance. */
export interface DraftedChange extends Change {
  readonly kind: 'instance';
  /** none, until it is certain that the transaction is written */
  events: readonly GuestEvent[];
}

/** The same once it is written. */
export type Written = ({ readonly kind: 'instance' } & WrittenChange) | ProfileChange | ProjectChange;

/** The requestor of a change, as in lifecycle events (api.EventLifecycleRequestor of LXD). */
export interface Requestor {
  readonly username: string;
  readonly protocol: string;
  readonly address: string;
}

/** Entries of `after` that are new or different, and names of `before` that are gone. */
export interface MapDifference<Value> {
  readonly set: readonly (readonly [string, Value])[];
  readonly removed: readonly string[];
}

const none = { set: [], removed: [] } as const;

export function differenceOf<Value>(
  before: ReadonlyMap<string, Value>,
  after: ReadonlyMap<string, Value>,
  same: (a: Value, b: Value) => boolean = Object.is,
): MapDifference<Value> {
  if (before === after) return none;
  const [set, removed]: [[string, Value][], string[]] = [[], []];
  // By keys: entries would be lists, of which most are thrown away.
  for (const name of after.keys()) {
    const [old, value] = [before.get(name), after.get(name)];
    if (value !== undefined && (old === undefined || !same(old, value))) set.push([name, value]);
  }
  for (const name of before.keys()) if (!after.has(name)) removed.push(name);
  return { set, removed };
}

/** Have two devices the same options? */
export function sameDevice(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a === b || (a.size === b.size && [...a].every(([name, value]) => b.get(name) === value));
}

// What comes from etcd, as proto-loader gives it: int64 values are decimal strings.

export interface Header {
  readonly cluster_id: string;
  readonly revision: string;
}

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly create_revision: string;
  readonly mod_revision: string;
}

export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

export interface WatchEvent {
  readonly type: 'PUT' | 'DELETE';
  readonly kv: KeyValue;
}

export interface WatchResponse {
  readonly header: Header;
  /** -1: of all watches of the stream */
  readonly watch_id: string;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: string;
  readonly cancel_reason: string;
  /** more of the same revision follows */
  readonly fragment: boolean;
  readonly events: readonly WatchEvent[];
}

/** The condition of a transaction: the key was last changed at this revision; '0': it does not exist. */
export interface Unchanged {
  readonly key: string;
  readonly revision: string;
}

export type Condition =
  | Unchanged
  | { readonly exists: string }
  /** no key below the prefix was put after this revision */
  | { readonly quiet: string; readonly since: string };

export type Operation =
  | { readonly put: string; readonly value: string; readonly lease?: string }
  | { readonly remove: string };

export interface TxnResult {
  readonly header: Header;
  /** false: a condition did not hold, and nothing was written */
  readonly succeeded: boolean;
  /** where nothing was written: what the keys are that were to be unchanged, in their order; undefined: it is not there */
  readonly found: readonly (KeyValue | undefined)[];
}

/** A range of keys to watch. */
export interface WatchedRange {
  /** of the watch, in its stream: 1, 2, ... */
  readonly id: string;
  readonly prefix: string;
  /** revision of the first event that is wanted */
  readonly from: string;
}

export interface TxnResponse {
  readonly header: Header;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly response_range?: RangeResponse | null }[];
}

/** Of a role: all keys below a prefix are read, or written as well. */
export interface Permission {
  readonly prefix: string;
  readonly writes: boolean;
}

/** What the host API gives and takes, in LXD's names; docs/host-api.md. */

export type Config = Readonly<Record<string, string>>;
/** `type` is always among the options. */
export type Device = Readonly<Record<string, string>>;
export type Devices = Readonly<Record<string, Device>>;

/** The part of an instance that an operator writes. */
export interface InstanceWritten {
  readonly description: string;
  /** names, in order: a later one wins over an earlier one, and the instance over all */
  readonly profiles: readonly string[];
  /** keys under `volatile.` are the daemon's: they may be left out, or sent back as they came */
  readonly config: Config;
  readonly devices: Devices;
}

/** Ready: it runs, and the guest has said that it has come up; Error: of a fleet, on a host that is away */
export type InstanceStatus = 'Running' | 'Ready' | 'Stopped' | 'Error';

/** It stays what it is created as. */
export type InstanceType = 'container' | 'virtual-machine';

export interface Instance extends InstanceWritten {
  readonly name: string;
  readonly project: string;
  readonly status: InstanceStatus;
  /** LXD's number for it: 102, 103, 113, 112 */
  readonly status_code: number;
  readonly architecture: string;
  readonly type: InstanceType;
  readonly ephemeral: false;
  readonly stateful: false;
  /** the host of the fleet that it is on; `none`: this is no fleet */
  readonly location: string;
  /** not known: 1970 */
  readonly last_used_at: string;
  /** whose it is, when it is not devlxd's own */
  readonly source?: string;
  /** ISO 8601 */
  readonly created_at: string;
  /** with its profiles: what the guest sees */
  readonly expanded_config: Config;
  readonly expanded_devices: Devices;
}

export interface InstanceWithState extends Instance {
  readonly state: InstanceState;
  readonly backups: null;
  readonly snapshots: null;
}

export interface InstanceState {
  readonly status: InstanceStatus;
  readonly status_code: number;
  /** of its init, as the host sees it; 0: stopped */
  readonly pid: number;
  /** devlxd measures no containers: -1, 0 and null stand in for what LXD would know */
  readonly processes: -1;
  readonly cpu: { readonly usage: 0 };
  readonly memory: Readonly<Record<'usage' | 'usage_peak' | 'swap_usage' | 'swap_usage_peak', 0>>;
  readonly disk: null;
  readonly network: null;
}

/** The part of a profile that an operator writes. */
export interface ProfileWritten {
  readonly description: string;
  readonly config: Config;
  readonly devices: Devices;
}

export interface Profile extends ProfileWritten {
  readonly name: string;
  /** of a fleet, while its hosts take the last change in parts */
  readonly rollout?: { readonly waves: number; readonly seconds: number; readonly stopped: boolean };
  /** paths of instances: /1.0/instances/web1 */
  readonly used_by: readonly string[];
}

/** The part of a project that an operator writes; its keys are user.* */
export interface ProjectWritten {
  readonly description: string;
  readonly config: Config;
}

export interface Project extends ProjectWritten {
  readonly name: string;
  /** paths of instances and profiles */
  readonly used_by: readonly string[];
}

/** The part of an image that can be changed. */
export interface ImageWritten {
  /** may any guest have it whose configuration allows images? */
  readonly public: boolean;
  readonly properties: Config;
}

export interface Image extends ImageWritten {
  /** SHA-256, 64 lower-case hex digits */
  readonly fingerprint: string;
  readonly filename: string;
  readonly type: InstanceType;
  readonly cached: boolean;
  /** bytes */
  readonly size: number;
  /** ISO 8601 */
  readonly uploaded_at: string;
  readonly created_at: string;
  readonly last_used_at: string;
  readonly expires_at: string;
  readonly architecture: string;
  readonly auto_update: boolean;
  readonly aliases: readonly never[];
  readonly profiles: readonly string[];
  readonly project: string;
}

/** An interface of the host; devlxd manages none. */
export interface Network {
  readonly name: string;
  readonly description: string;
  readonly type: string;
  readonly managed: boolean;
  readonly status: string;
  readonly config: Config;
  readonly used_by: readonly string[];
  readonly locations: null;
  readonly project: string;
}

/** A change that is being made. */
export interface Operation {
  readonly id: string;
  readonly class: 'task';
  readonly description: string;
  readonly status: 'Running' | 'Success' | 'Failure';
  readonly status_code: number;
  readonly may_cancel: false;
  readonly location: string;
  readonly created_at: string;
  readonly updated_at: string;
  /** paths of what it is about */
  readonly resources: { readonly instances?: readonly string[] };
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** why it has failed; '' when it has not */
  readonly err: string;
}

export interface ServerInfo {
  readonly api_extensions: readonly string[];
  readonly api_status: 'stable';
  readonly api_version: '1.0';
  readonly auth: 'trusted';
  readonly auth_methods: readonly string[];
  readonly config: Config;
  readonly public: false;
  readonly environment: {
    readonly addresses: readonly string[];
    readonly architectures: readonly string[];
    readonly kernel: string;
    readonly kernel_architecture: string;
    readonly kernel_version: string;
    /** it is an endpoint of a fleet */
    readonly server_clustered: boolean;
    /** `devlxd`; LXD's own servers say `lxd` */
    readonly server: string;
    readonly server_name: string;
    readonly server_pid: number;
    readonly server_version: string;
    readonly project: string;
    /** devlxd's own: what one batch may have, in bytes and in lines; 0: any number */
    readonly batch_bytes: number;
    readonly batch_lines: number;
  };
}

interface HostEventOf<Type extends string, Metadata> {
  readonly type: Type;
  /** RFC 3339 with nanoseconds; each is later than the one before */
  readonly timestamp: string;
  /** none: it concerns all */
  readonly project?: string;
  readonly metadata: Metadata;
}

/** Something has changed, durably. */
export type LifecycleEvent = HostEventOf<
  'lifecycle',
  {
    /** instance-created, profile-updated, ...: docs/host-api.md */
    readonly action: string;
    /** path of what has changed */
    readonly source: string;
    /** of a rename: old_name */
    readonly context: Readonly<Record<string, string>>;
    /** none: no request caused it, such as an init that exited */
    readonly requestor?: { readonly username: string; readonly protocol: string; readonly address: string };
  }
>;

export type OperationEvent = HostEventOf<'operation', Operation>;

/** A line of the daemon's log. */
export type LoggingEvent = HostEventOf<
  'logging',
  { readonly message: string; readonly level: string; readonly context: Readonly<Record<string, string>> }
>;

/** The connection was lost and is back: what happened in between was not heard. Only the client library makes it. */
export type ReconnectedEvent = HostEventOf<'reconnected', Readonly<Record<string, never>>>;

export type HostEvent = LifecycleEvent | OperationEvent | LoggingEvent | ReconnectedEvent;

/** One line of a batch: a request of the API, without its envelope. */
export interface BatchLine {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** such as /1.0/instances or /1.0/profiles/web?project=blue */
  readonly path: string;
  readonly body?: object;
  /** the entity tag that the thing must still have */
  readonly etag?: string;
}

/** How the instances' identity documents are issued. */
export interface IdentityInfo {
  /** `iss` of each document */
  readonly issuer: string;
  /** life of a document */
  readonly seconds: number;
}

/** A JWK set (RFC 7517) of P-256 keys for ES256. */
export interface IdentityKeySet {
  readonly keys: readonly {
    readonly kty: 'EC';
    readonly crv: 'P-256';
    readonly x: string;
    readonly y: string;
    /** RFC 7638 thumbprint */
    readonly kid: string;
    readonly alg: 'ES256';
    readonly use: 'sig';
  }[];
}

export interface IdentityRotation {
  /** of the key that signs from then on */
  readonly kid: string;
  /** ISO 8601 */
  readonly signs_from: string;
}

/** What a host of a fleet follows. */
export interface FollowedFleet {
  /** its name in the fleet */
  readonly host: string;
  readonly endpoints: readonly string[];
  readonly connected: boolean;
  /** why etcd is away; '': it is not */
  readonly away: string;
  /** how old what is served may be; 0: it is what etcd says */
  readonly age_seconds: number;
  /** revision of the newest change that guests were told */
  readonly applied: string;
  /** why nothing is applied until it is accepted; '': it is */
  readonly held: string;
  /** the first of the values that cannot be read or applied */
  readonly refused: readonly { readonly name: string; readonly why: string }[];
  readonly refused_count: number;
  /** changes of profiles that this host takes in a later wave */
  readonly later: readonly {
    readonly name: string;
    readonly wave: number;
    readonly waves: number;
    readonly stopped: boolean;
  }[];
}

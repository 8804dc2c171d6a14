/** Configuration keys and their values. */
export type Config = ReadonlyMap<string, string>;
/** The options of one device; `type` is always among them. */
export type Device = ReadonlyMap<string, string>;
export type Devices = ReadonlyMap<string, Device>;
/** The process of a running instance: its init, or what connects for a virtual machine. pid, start and boot together are one process's. */
export interface Run {
    /** in the daemon's pid namespace */
    readonly pid: number;
    /** its start, clock ticks since boot */
    readonly startTicks: number;
    /** /proc/sys/kernel/random/boot_id at that time */
    readonly bootId: string;
    /** of a virtual machine that the kernel knows by its context id, vsock(7) */
    readonly cid?: number;
}
/** What an instance is; it stays what it is made as. */
export declare const instanceTypes: readonly ['container', 'virtual-machine'];
export type InstanceType = (typeof instanceTypes)[number];
/** What the guest says of itself with PATCH /1.0. */
export type GuestState = 'Started' | 'Ready';
/** The daemons whose instances can be served. */
export type PeerName = 'lxd' | 'incus';
/** What can describe instances that are not our own. etcd: the fleet; its guests are served as our own are */
export type SourceName = PeerName | 'etcd';
/** What several instances have in common. Never changed in place. */
export interface Profile {
    /** row in the store; stays when the profile is renamed */
    readonly id: number;
    readonly project: string;
    readonly name: string;
    readonly description: string;
    readonly config: Config;
    readonly devices: Devices;
    /** timestamp of its last edit, which is before those of the events that it made; '': there was none */
    readonly changedAt: string;
    /** whose it is; left out: our own */
    readonly source?: 'etcd';
}
/** A name space of instances and profiles. */
export interface Project {
    readonly id: number;
    /** projects are in none themselves */
    readonly project: '';
    readonly name: string;
    readonly description: string;
    readonly config: Config;
}
/** An instance, never changed in place: each change makes a new one. */
export interface Instance {
    /** row in the store; never given to another instance */
    readonly id: number;
    readonly project: string;
    readonly name: string;
    readonly type: InstanceType;
    readonly description: string;
    /** ISO 8601 */
    readonly createdAt: string;
    /** in order, each in the version that holds for this version of the instance */
    readonly profiles: readonly Profile[];
    readonly config: Config;
    readonly devices: Devices;
    readonly guestState: GuestState;
    /** undefined: stopped */
    readonly run: Run | undefined;
    /** what it belongs to; left out: our own. Config and devices of a peer's instance are already expanded */
    readonly source?: SourceName;
}
/** The description of an instance that is deleted with its container; one with any other stays. */
export declare const temporaryDescription = "Made for a container by devlxd-hook; deleted with it";
/** The same on a host of a fleet, where the fleet may describe it while it runs. */
export declare const standInDescription = "Made for a container by devlxd-hook, until the fleet describes it; deleted with it";
export declare function isTemporary({ description, source }: Instance): boolean;
/** The daemon in whose words guests of this instance are answered; undefined: our own, which are LXD's. */
export declare function peerOf({ source }: Instance): PeerName | undefined;
/** As LXD's API names it: Ready runs, and has said of itself that it has come up. */
export type InstanceStatus = 'Running' | 'Ready' | 'Stopped';
export declare function statusOf({ run, guestState }: Instance): InstanceStatus;
/** The project that is meant when none is named, and the profile that every project has. */
export declare const defaultProject = "default";
export declare const defaultProfile = "default";
/** What the guest sees: the profiles' configuration, in order, and then the instance's own. The same map while both are. */
export declare function expandedConfig(instance: Instance): Config;
/** The same where it has been asked for before; undefined: it has not. */
export declare function knownExpandedConfig({ profiles, config }: Instance): Config | undefined;
/** The same for devices; one of the same name replaces the other as a whole. */
export declare function expandedDevices(instance: Instance): Devices;
/**
 * Is this boolean key of the configuration on? A key has LXD's name and Incus' name: where both are set, both must be
 * on. byDefault: what an unset key means.
 */
export declare function flag(instance: Instance, key: string, byDefault: boolean): boolean;
/** Are its users other than root served? */
export declare function servesNonroot(instance: Instance): boolean;
/** Are the containers inside it served as the instance? devlxd's own key; LXD serves them. */
export declare function servesNested(instance: Instance): boolean;
/** security.devlxd.images -> security.guestapi.images */
export declare function incusKeyOf(key: string): string;
/** Where LXD and Incus keep what a guest has said of itself to them. */
export declare const readyKey = "volatile.last_state.ready";
/** Where LXD keeps whether it runs, by which clients choose (Ansible's inventory). */
export declare const powerKey = "volatile.last_state.power";
/** Where LXD keeps the context id of a virtual machine. */
export declare const cidKey = "volatile.vsock_id";
/** How far the guest of an instance is that starts: where it runs already, it has told its source. */
export declare function firstGuestState(instance: Instance): GuestState;
/** The words that LXD takes for true (shared/util.go, IsTrue). */
export declare function isTrue(value: string): boolean;
/** A map with its keys in order, as a plain object for JSON. */
export declare function sortedObject(map: ReadonlyMap<string, string>): Record<string, string>;
/** For sorting the entries of a map by key, in the order of their UTF-16 code units. */
export declare function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number;

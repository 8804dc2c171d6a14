import type { Config, Devices, SourceName } from '../model/instance.js';

/** An instance as its source describes it. */
export interface SourcedInstance {
  readonly project: string;
  readonly name: string;
  /** stays when it is renamed, and is never given to another; '' where the source has none */
  readonly uuid: string;
  readonly description: string;
  /** ISO 8601 */
  readonly createdAt: string;
  /** expanded: its profiles are in it */
  readonly config: Config;
  readonly devices: Devices;
  /** has it an init? */
  readonly runs: boolean;
  /** of its init, as the host sees it; 0: none, or not asked for */
  readonly pid: number;
}

/** Which instance, by its names. */
export interface Named {
  readonly project: string;
  readonly name: string;
}

/** What a source has. */
export interface Listed {
  readonly instances: readonly SourcedInstance[];
  /** are there as well, but what they are could not be found out, or not be understood */
  readonly unread: readonly Named[];
}

/** What has happened to an instance. started: it has an init, possibly a new one */
export type Happened = 'started' | 'deleted' | 'changed';

/** What a source tells of its own accord. */
export interface SourceEvents {
  changed(instance: Named, what: Happened): void;
  /** Nothing is told from here on. */
  ended(): void;
}

/** The daemon that answers, as it is now: it may be another after each connect. */
export interface SourceServer {
  /** in its own pid namespace; undefined: it does not say */
  readonly pid: number | undefined;
  /** the path at which it was asked */
  readonly socketPath: string;
  /** does it keep whether guests are ready? LXD since 5.0.3 and 5.2, Incus always */
  readonly keepsReady: boolean;
}

/** What a source is asked for: all of its instances or one of them, and with or without their pids. */
export type Scope = 'all' | 'one' | 'all-pids' | 'one-pid';

/** The source answers, but not about this instance: as Incus while it stops or deletes one. It is worth asking again. */
export class Unread extends Error {}

/** Where instances come from that are not our own. */
export interface Source {
  readonly name: SourceName;
  /** how often it was */
  readonly asked: Readonly<Record<Scope, number>>;
  /** Asked after each connect. */
  server(): Promise<SourceServer>;
  /** All its containers. withPids: which costs the source a hundred times as much */
  list(withPids?: boolean): Promise<Listed>;
  /** undefined: there is none. @throws Unread; any other error means that the source is away */
  get(instance: Named, withPid?: boolean): Promise<SourcedInstance | undefined>;
  /** What its guest says of itself. @throws Unread, when it does not take that */
  setReady(instance: Named, ready: boolean): Promise<void>;
  /** Resolves when whatever happens from here on is told. @returns what ends it */
  follow(events: SourceEvents): Promise<() => void>;
}

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

/** What a source tells of its own accord. */
export interface SourceEvents {
  /** This instance has changed in some way. started: it has an init, possibly a new one */
  changed(instance: Named, started: boolean): void;
  /** Nothing is told from here on. */
  ended(): void;
}

/** Where instances come from that are not our own. */
export interface Source {
  readonly name: SourceName;
  /** how often it was */
  readonly asked: { readonly all: number; readonly one: number };
  /** All its containers. withPids: which costs the source a hundred times as much */
  list(withPids?: boolean): Promise<Listed>;
  /** undefined: there is none that could be read */
  get(instance: Named, withPid?: boolean): Promise<SourcedInstance | undefined>;
  /** Resolves when whatever happens from here on is told. @returns what ends it */
  follow(events: SourceEvents): Promise<() => void>;
}

import type { Config, Devices, SourceName } from '../instances/model.js';

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
  /** of its init, as the host sees it; 0: stopped */
  readonly pid: number;
}

/** What a source tells of its own accord. */
export interface SourceEvents {
  /** Something has happened to this instance; nobody says what. */
  changed(project: string, name: string): void;
  /** Nothing is told from here on. */
  ended(): void;
}

/** Where instances come from that are not our own. */
export interface Source {
  readonly name: SourceName;
  /** All its containers. */
  list(): Promise<SourcedInstance[]>;
  /** undefined: there is none */
  get(project: string, name: string): Promise<SourcedInstance | undefined>;
  /** Resolves when whatever happens from here on is told. @returns what ends it */
  follow(events: SourceEvents): Promise<() => void>;
}

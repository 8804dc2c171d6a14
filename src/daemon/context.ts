import type { Settings } from '../config/options.js';
import type { HandoverRequests } from '../handover/give.js';
import type { ConnectionStore } from '../handover/held-connections.js';
import type { ListeningSockets } from '../handover/listening-sockets.js';
import type { Log, LogLines } from '../log.js';

/** What the parts of a daemon are built from. */
export interface DaemonContext {
  readonly settings: Settings;
  readonly log: Log;
  /** what log writes */
  readonly logLines: LogLines;
  /** stay open when the daemon ends */
  readonly sockets: ListeningSockets;
  /** of the service manager; undefined: there is none */
  readonly connectionStore: ConnectionStore | undefined;
  /** 0: no service manager watches this process */
  readonly watchdogSeconds: number;
  readonly handoverRequests: HandoverRequests;
}

/** Parts as they are built: each is entered as soon as it must be stopped, also when a later one fails. */
export type Building<Parts> = { -readonly [Name in keyof Parts]?: Parts[Name] };

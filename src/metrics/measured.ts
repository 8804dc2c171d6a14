import type { ControlEvents } from '../control/control-events.js';
import type { ControlServer } from '../control/control-server.js';
import type { FleetSync } from '../fleet/fleet-sync.js';
import type { Gate } from '../gate/gate.js';
import type { GuestDispatcher } from '../guest/dispatcher.js';
import type { Listeners } from '../guest/events/listeners.js';
import type { UwsServer } from '../guest/uws-server.js';
import type { ListeningSockets } from '../handover/listening-sockets.js';
import type { Images } from '../images/image-library.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { LimitHits } from '../limits/limit-hits.js';
import type { Limits } from '../limits/limits.js';
import type { LogLines } from '../log.js';
import type { SourceSocket } from '../sources/guest-socket.js';
import type { Sync } from '../sources/sync.js';
import type { EventLoopDelay } from './event-loop-delay.js';
import type { GateLimitHits } from './gate-limit-hits.js';

/** A source, and the socket of its guests. */
export interface MeasuredSource {
  readonly sync: Sync;
  readonly guestSocket: SourceSocket;
}

/** The parts of the daemon that are measured. They count for themselves; here they are only asked. */
export interface Measured {
  readonly registry: Registry;
  readonly running: RunningInstances;
  readonly images: Images;
  readonly gate: Gate;
  readonly dispatcher: GuestDispatcher;
  readonly uwsServer: UwsServer;
  readonly listeners: Listeners;
  readonly limits: Limits;
  readonly limitHits: LimitHits;
  readonly gateLimitHits: GateLimitHits;
  readonly stateDir: string;
  readonly sockets: ListeningSockets;
  readonly eventLoopDelay: EventLoopDelay;
  /** 0: no watchdog */
  readonly watchdogSeconds: number;
  readonly controlEvents: ControlEvents;
  readonly logLines: LogLines;
  /** asked when it is there */
  readonly host: () => ControlServer;
  /** undefined: none is followed */
  readonly source: () => MeasuredSource | undefined;
  /** undefined: this host belongs to none */
  readonly fleet: () => FleetSync | undefined;
}

import { setTimeout as pause } from 'node:timers/promises';
import type { FleetSync } from '../fleet/fleet-sync.js';
import type { SpareDescriptors } from '../gate/file-descriptors.js';
import { takeGuestConnections } from '../handover/connections.js';
import { closeAll, type HandoverConnection } from '../handover/protocol.js';
import type { Limits } from '../limits/limits.js';
import type { MetricsServer } from '../metrics/metrics-server.js';
import type { SourceImages } from '../sources/exported-images.js';
import type { ControlParts } from './control-parts.js';
import type { FollowedSource } from './followed-source.js';
import type { GuestParts } from './guest-parts.js';
import type { Measuring } from './measuring.js';
import type { SocketWatch } from './socket-watch.js';
import type { StoreParts } from './store-parts.js';

/** A connection that was accepted just before the last accept has this long to send its request. */
const acceptedMilliseconds = 200;

/** The parts of a daemon. Some are missing when it failed to start. */
export interface Parts extends StoreParts, GuestParts, ControlParts {
  readonly measuring: Measuring;
  readonly spareDescriptors: SpareDescriptors;
  readonly sourceImages: SourceImages;
  readonly followedSource: FollowedSource;
  readonly fleet: FleetSync;
  readonly socketWatch: SocketWatch;
  readonly metricsServer: MetricsServer;
}

interface Shutdown {
  readonly parts: Partial<Parts>;
  readonly limits: Limits;
  /** true: another process goes on with the idle connections; false: they are closed */
  readonly forHandover: boolean;
  /** the connections that the other process gets */
  readonly connections: HandoverConnection[];
}

interface Phase {
  /** for the log */
  readonly name: string;
  /** stop: another daemon may open the store only after it; drain: slow readers get their answers meanwhile */
  readonly stage: 'stop' | 'drain';
  readonly run: (shutdown: Shutdown) => unknown;
}

/** How a daemon ends, in the order in which it happens. Each phase is awaited. */
export const shutdownPhases: readonly Phase[] = [
  { name: 'watch no socket files', stage: 'stop', run: ({ parts }) => parts.socketWatch?.stop() },
  { name: 'answer scrapes', stage: 'stop', run: ({ parts }) => parts.metricsServer?.stop() },
  { name: 'unfollow the source', stage: 'stop', run: ({ parts }) => parts.followedSource?.stop() },
  { name: 'unfollow the fleet', stage: 'stop', run: ({ parts, forHandover }) => parts.fleet?.stop(forHandover) },
  { name: 'accept no guests', stage: 'stop', run: acceptNoGuests },
  { name: 'answer operators', stage: 'stop', run: answerOperators },
  { name: 'answer changes by guests', stage: 'stop', run: ({ parts }) => parts.dispatcher?.stop() },
  { name: 'send listeners away', stage: 'stop', run: ({ parts }) => parts.uwsServer?.stop() },
  { name: 'take idle connections of guests', stage: 'stop', run: takeIdleConnections },
  { name: 'close spare descriptors', stage: 'stop', run: ({ parts }) => parts.spareDescriptors?.close() },
  { name: 'leave exits of inits to the next daemon', stage: 'stop', run: ({ parts }) => parts.running?.close() },
  { name: 'stop measuring', stage: 'stop', run: ({ parts }) => parts.eventLoopDelay?.stop() },
  { name: 'write images', stage: 'stop', run: ({ parts }) => parts.images?.stop() },
  { name: 'write changes', stage: 'stop', run: ({ parts }) => parts.registry?.stop() },
  { name: 'close the store', stage: 'stop', run: ({ parts }) => parts.store?.close() },
  { name: 'unfollow the log', stage: 'drain', run: ({ parts }) => parts.unfollowLog?.() },
  { name: 'wait for slow readers', stage: 'drain', run: waitForSlowReaders },
  { name: 'let go of instances', stage: 'drain', run: ({ parts }) => parts.running?.letGo() },
  { name: 'write the last limits reached', stage: 'drain', run: ({ parts }) => parts.limitLog?.stop() },
  { name: 'close the source', stage: 'drain', run: ({ parts }) => parts.sourceImages?.close() },
];

async function acceptNoGuests({ parts: { gate }, forHandover }: Shutdown): Promise<void> {
  gate?.stopListening();
  if (!forHandover && gate !== undefined && gate.counters().connections > 0) await pause(acceptedMilliseconds);
}

async function answerOperators({ parts, forHandover, connections }: Shutdown): Promise<void> {
  const idle = (await parts.control?.stop()) ?? [];
  if (forHandover) connections.push(...idle);
  else closeAll(idle);
}

function takeIdleConnections({ parts, forHandover, connections }: Shutdown): void {
  const { gate, running, heldConnections } = parts;
  if (forHandover && gate !== undefined && running !== undefined && heldConnections !== undefined)
    connections.push(...takeGuestConnections(gate, running, heldConnections));
  heldConnections?.stop();
}

async function waitForSlowReaders({ parts: { uwsServer, dispatcher }, limits }: Shutdown): Promise<void> {
  await Promise.all([uwsServer?.linger(), dispatcher?.linger(limits['drain-seconds'])]);
}

import { Gate } from '../gate/gate.js';
import { DirectAnswers } from '../guest/direct-answers.js';
import { GuestDispatcher } from '../guest/dispatcher.js';
import { Listeners } from '../guest/events/listeners.js';
import { UwsServer } from '../guest/uws-server.js';
import { HeldConnections } from '../handover/held-connections.js';
import { RunningInstances } from '../instances/running-instances.js';
import { LimitHits } from '../limits/limit-hits.js';
import { EventLoopDelay } from '../metrics/event-loop-delay.js';
import { GateLimitHits } from '../metrics/gate-limit-hits.js';
import { LimitLog } from '../metrics/limit-log.js';
import type { SourceImages } from '../sources/exported-images.js';
import type { Building, DaemonContext } from './context.js';
import { gateLimits } from './gate-limits.js';
import { publish } from './publish.js';
import type { StoreParts } from './store-parts.js';

export interface GuestParts {
  readonly gate: Gate;
  readonly running: RunningInstances;
  readonly listeners: Listeners;
  readonly dispatcher: GuestDispatcher;
  readonly uwsServer: UwsServer;
  readonly limitHits: LimitHits;
  readonly gateLimitHits: GateLimitHits;
  readonly limitLog: LimitLog;
  readonly heldConnections: HeldConnections;
  readonly eventLoopDelay: EventLoopDelay;
}

/** Builds what answers guests; nothing is accepted yet. */
export async function buildGuests(
  { settings, log, connectionStore }: DaemonContext,
  { registry, images, identityIssuer }: StoreParts,
  sourceImages: SourceImages | undefined,
  built: Building<GuestParts>,
): Promise<GuestParts> {
  const { limits } = settings;
  const gate = new Gate(settings.identity, gateLimits(settings, log), {
    onInitExit: (slots) => running.initsExited(slots),
    onHeld: (callers) => heldConnections.hold(callers),
    onLetGo: (tickets) => heldConnections.letGo(tickets),
    onRequest: (caller, target) => directAnswers.answer(caller, target),
  });
  const running = new RunningInstances(gate, registry, log);
  const listeners = new Listeners();
  const limitHits = new LimitHits();
  const heldConnections = new HeldConnections(connectionStore, limitHits);
  const dispatcher = new GuestDispatcher(
    registry,
    running,
    listeners,
    images,
    identityIssuer,
    limits,
    limitHits,
    log,
    sourceImages,
  );
  const directAnswers = new DirectAnswers(running, dispatcher.requests, log);
  registry.on('changes', (changes) => publish(changes, { running, listeners, dispatcher, limitHits }, log));
  // Before the gate forgets them.
  running.on('left', ({ id }, slot) => dispatcher.instanceRequests.add(id, gate.countersOf(slot).answered));
  const gateLimitHits = new GateLimitHits(gate, running, limitHits);
  const limitLog = new LimitLog(
    limitHits,
    (id) => registry.byId(id),
    log,
    () => gateLimitHits.poll(),
  );
  const eventLoopDelay = new EventLoopDelay(() => gate.takeLongestTurn());
  const counted = { limitHits, gateLimitHits, limitLog, eventLoopDelay };
  const parts = { gate, running, listeners, dispatcher, heldConnections, ...counted };
  Object.assign(built, parts);
  limitLog.run();
  const uwsServer = new UwsServer(gate, dispatcher, running, listeners, limits);
  await uwsServer.run();
  built.uwsServer = uwsServer;
  return { ...parts, uwsServer };
}

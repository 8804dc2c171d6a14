import { backup } from '../control/backup-handler.js';
import { BatchHandlers } from '../control/batch-handlers.js';
import { controlEndpoints, type Metrics } from '../control/control-endpoints.js';
import { ControlEvents } from '../control/control-events.js';
import { ControlServer } from '../control/control-server.js';
import { EventStreams } from '../control/event-stream.js';
import { HookHandlers } from '../control/hook-handlers.js';
import { IdentityHandlers } from '../control/identity-handlers.js';
import { ImageHandlers } from '../control/image-handlers.js';
import { InstanceHandlers } from '../control/instance-handlers.js';
import { readyOf } from '../control/lifecycle.js';
import { Operations } from '../control/operations.js';
import { ProfileHandlers } from '../control/profile-handlers.js';
import { ProjectHandlers } from '../control/project-handlers.js';
import { serverInfo } from '../control/server-info.js';
import { SourceHandlers } from '../control/source-handlers.js';
import type { FleetSync } from '../fleet/fleet-sync.js';
import type { DaemonContext } from './context.js';
import type { GuestParts } from './guest-parts.js';
import type { StoreParts } from './store-parts.js';

export interface ControlParts {
  readonly control: ControlServer;
  readonly controlEvents: ControlEvents;
  /** Ends what the log's lines are followed by. */
  readonly unfollowLog: () => void;
}

/** Builds what answers operators; nothing is accepted yet. */
export function buildControl(
  context: DaemonContext,
  stored: StoreParts,
  guests: GuestParts,
  fleet: () => FleetSync | undefined,
  metricsOf: (control: () => ControlServer, controlEvents: ControlEvents) => Metrics,
): ControlParts {
  const { settings, log, handoverRequests } = context;
  const { limitHits } = guests;
  const operations = new Operations();
  operations.on('changed', ({ error }) => limitHits.addFault(error));
  const { controlEvents, unfollowLog } = buildEvents(context, stored, operations);
  const control: ControlServer = new ControlServer(
    endpoints(
      context,
      stored,
      guests,
      fleet,
      operations,
      controlEvents,
      metricsOf(() => control, controlEvents),
    ),
    new EventStreams(controlEvents, stored.registry, settings.limits, limitHits),
    handoverRequests,
    settings.limits,
    settings.group !== '',
    log,
    limitHits,
  );
  return { control, controlEvents, unfollowLog };
}

function buildEvents(
  { logLines }: DaemonContext,
  { registry }: StoreParts,
  operations: Operations,
): Pick<ControlParts, 'controlEvents' | 'unfollowLog'> {
  const controlEvents = new ControlEvents();
  registry.on('written', (change, requestor) => controlEvents.written(change, requestor));
  registry.on('readyAgain', (instance) => controlEvents.lifecycle(readyOf(instance), undefined));
  operations.on('changed', (operation) => controlEvents.operation(operation));
  const logging = (line: string): void => controlEvents.logging(line);
  logLines.on('line', logging);
  return { controlEvents, unfollowLog: () => void logLines.off('line', logging) };
}

function endpoints(
  { settings, log }: DaemonContext,
  { store, registry, images, identityKeys, identityIssuer }: StoreParts,
  { running }: GuestParts,
  fleet: () => FleetSync | undefined,
  operations: Operations,
  controlEvents: ControlEvents,
  metrics: Metrics,
) {
  const { limits, stateDir } = settings;
  const instances = new InstanceHandlers(registry, running, operations, limits);
  const profiles = new ProfileHandlers(registry, limits);
  const projects = new ProjectHandlers(registry, operations);
  const batches = new BatchHandlers(registry, operations, { instances, profiles });
  return controlEndpoints(
    { instances, profiles, projects, batches, operations, info: serverInfo(limits) },
    new ImageHandlers(images, operations, controlEvents),
    new HookHandlers(registry, running, limits, log, settings.fleet !== undefined),
    new IdentityHandlers(identityKeys, identityIssuer),
    new SourceHandlers(fleet),
    backup(store, stateDir),
    metrics,
  );
}

import { statfsSync } from 'node:fs';
import type { ControlEvents } from '../control/control-events.js';
import type { ControlServer } from '../control/control-server.js';
import { descriptorLimit, openDescriptors } from '../gate/file-descriptors.js';
import type { Gate } from '../gate/gate.js';
import type { GuestDispatcher } from '../guest/dispatcher.js';
import type { Listeners } from '../guest/events/listeners.js';
import type { ListeningSockets } from '../handover/listening-sockets.js';
import type { RequestCounts } from '../http/request-counts.js';
import { knownUnmergedKeys } from '../instances/cloud-init/guest-value.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import { countedLimits, type LimitHits } from '../limits/limit-hits.js';
import { statusOf } from '../model/instance.js';
import type { Sync } from '../sources/sync.js';
import { type MetricDeclarations, type MetricSample, pause } from './declaration.js';
import type { EventLoopDelay } from './event-loop-delay.js';
import type { GateLimitHits } from './gate-limit-hits.js';

/** The parts of the daemon that are measured. They count for themselves; here they are only asked. */
export interface Measured {
  readonly registry: Registry;
  readonly running: RunningInstances;
  readonly gate: Gate;
  readonly dispatcher: GuestDispatcher;
  readonly listeners: Listeners;
  readonly limitHits: LimitHits;
  readonly gateLimitHits: GateLimitHits;
  readonly stateDir: string;
  readonly sockets: ListeningSockets;
  readonly eventLoopDelay: EventLoopDelay;
  /** 0: no watchdog */
  readonly watchdogSeconds: number;
  readonly controlEvents: ControlEvents;
  /** asked when it is there */
  readonly host: () => ControlServer;
  /** undefined: none is followed */
  readonly source: () => Sync | undefined;
}

/** Every metric, read when it is asked for; docs/metrics.md has one line for each, which a test holds. */
export const metricDeclarations: MetricDeclarations<Measured> = {
  devlxd_instances: {
    kind: 'gauge',
    help: 'Instances by status',
    labels: ['status'],
    read: instancesByStatus,
  },
  devlxd_unmerged_documents: {
    kind: 'gauge',
    help: 'Values that ssh keys of their instance are not in',
    read: unmergedDocuments,
  },
  devlxd_profiles: {
    kind: 'gauge',
    help: 'Profiles of all projects',
    read: (all) => [[all.registry.profiles().length]],
  },
  devlxd_projects: { kind: 'gauge', help: 'Projects', read: (all) => [[all.registry.projects().length]] },
  devlxd_socket_reachable: {
    kind: 'gauge',
    help: 'Whether the path of a socket leads to this daemon (1) or was removed or replaced (0)',
    labels: ['socket'],
    read: ({ sockets }) =>
      (['guest', 'control'] as const).map((socket) => [Number(sockets.fileOf(socket) === 'ours'), { socket }]),
  },
  devlxd_guest_directory_replaced: {
    kind: 'gauge',
    help: 'Whether the directory of the guest socket was replaced (1) while instances had the old one mounted',
    read: ({ sockets }) => [[Number(sockets.guestDirectoryReplaced)]],
  },
  devlxd_connections: {
    kind: 'gauge',
    help: 'Open connections of guests',
    read: ({ gate }) => [[gate.counters().connections]],
  },
  devlxd_connections_max: {
    kind: 'gauge',
    help: 'Connections of guests that are let in at most, as long as no instance starts',
    read: ({ gate }) => [[gate.counters().room]],
  },
  devlxd_connections_accepted_total: {
    kind: 'counter',
    help: 'Connections accepted on the socket of the guests',
    read: ({ gate }) => [[gate.counters().accepted]],
  },
  devlxd_connections_unidentified_total: {
    kind: 'counter',
    help: 'Connections of unidentified callers: of the host, exited before the accept, or beyond pending-callers',
    read: ({ gate }) => [[gate.counters().unidentified]],
  },
  devlxd_limit_hits_total: {
    kind: 'counter',
    help: 'What was refused, throttled, dropped or cut off, by the limit that was reached',
    labels: ['limit'],
    read: ({ limitHits, gateLimitHits }) => {
      gateLimitHits.poll();
      return countedLimits.map((limit) => [limitHits.total(limit), { limit }]);
    },
  },
  devlxd_limit_last_hit_timestamp_seconds: {
    kind: 'gauge',
    help: 'When a limit was last reached, since 1970; 0: never',
    labels: ['limit'],
    read: ({ limitHits }) => countedLimits.map((limit) => [limitHits.last(limit) / 1000, { limit }]),
  },
  devlxd_guest_requests_total: {
    kind: 'counter',
    help: 'Requests of guests by endpoint and status; a stream of events counts when it begins',
    labels: ['endpoint', 'status'],
    read: ({ dispatcher }) => requests(dispatcher.requests),
  },
  devlxd_guest_responses_cached_total: {
    kind: 'counter',
    help: 'Requests of guests that came again and were answered without JavaScript; they count nowhere else',
    read: ({ gate }) => [[gate.counters().cacheHits]],
  },
  devlxd_guest_requests_held: {
    kind: 'gauge',
    help: 'Requests that wait for their instance to be registered',
    read: ({ gate }) => [[gate.counters().held]],
  },
  devlxd_guest_requests_held_total: {
    kind: 'counter',
    help: 'Requests that have waited so',
    read: ({ gate }) => [[gate.counters().everHeld]],
  },
  devlxd_control_requests_total: {
    kind: 'counter',
    help: 'Requests of operators by endpoint and status',
    labels: ['endpoint', 'status'],
    read: ({ host }) => requests(host().requests),
  },
  devlxd_listeners: {
    kind: 'gauge',
    help: 'Open event streams, of guests and of operators',
    labels: ['role'],
    read: ({ listeners, controlEvents }) => [
      [listeners.size, { role: 'guest' }],
      [controlEvents.size, { role: 'control' }],
    ],
  },
  devlxd_store_commits_total: {
    kind: 'counter',
    help: 'Transactions of the store, each with one sync, by outcome',
    labels: ['outcome'],
    read: ({ registry: { commits } }) => [
      [commits.done, { outcome: 'done' }],
      [commits.failed, { outcome: 'failed' }],
    ],
  },
  devlxd_store_changes_total: {
    kind: 'counter',
    help: 'Changes that these have made durable',
    read: ({ registry }) => [[registry.commits.changes]],
  },
  devlxd_store_commit_seconds_total: {
    kind: 'counter',
    help: 'Time that these have taken',
    read: ({ registry }) => [[registry.commits.milliseconds / 1000]],
  },
  devlxd_store_changes_unstored: {
    kind: 'gauge',
    help: 'Changes that hold and could not be stored yet, such as exits of inits on a full disk',
    read: ({ registry }) => [[registry.unstored]],
  },
  devlxd_store_transactions_pending: {
    kind: 'gauge',
    help: 'Transactions that wait for the one that is being written',
    read: ({ registry }) => [[registry.waiting]],
  },
  devlxd_store_last_commit_timestamp_seconds: {
    kind: 'gauge',
    help: 'End of the last transaction since 1970, by outcome; 0: there was none',
    labels: ['outcome'],
    read: ({ registry: { commits } }) => [
      [commits.lastDone / 1000, { outcome: 'done' }],
      [commits.lastFailed / 1000, { outcome: 'failed' }],
    ],
  },
  devlxd_store_free_bytes: {
    kind: 'gauge',
    help: 'Free bytes on the disk of the store, for users other than root',
    read: ({ stateDir }) => [[freeBytes(stateDir)]],
  },
  devlxd_event_loop_delay_seconds: {
    kind: 'gauge',
    help: 'How late the event loop was at worst in the last minute',
    read: (all) => [[all.eventLoopDelay.worstSeconds]],
  },
  devlxd_watchdog_interval_seconds: {
    kind: 'gauge',
    help: 'Interval of the systemd watchdog; 0: off',
    read: (all) => [[all.watchdogSeconds]],
  },
  devlxd_source_connected: {
    kind: 'gauge',
    help: 'Is the daemon that --source names there?',
    read: ({ source }) => ofSource(source(), ({ connected }) => Number(connected)),
  },
  devlxd_source_age_seconds: {
    kind: 'gauge',
    help: 'How old what is served of its instances may be; 0 when it is what the source has',
    read: ({ source }) => ofSource(source(), ({ age }) => age),
  },
  devlxd_source_requests_total: {
    kind: 'counter',
    help: 'What the source was asked for: all of its instances, or one',
    labels: ['scope'],
    read: ({ source }) => [
      ...ofSource(source(), ({ asked }) => asked.all, { scope: 'all' }),
      ...ofSource(source(), ({ asked }) => asked.one, { scope: 'one' }),
    ],
  },
  process_open_fds: { kind: 'gauge', help: 'Open file descriptors', read: () => [[openDescriptors()]] },
  process_max_fds: { kind: 'gauge', help: 'Most file descriptors', read: () => [[descriptorLimit()]] },
  process_resident_memory_bytes: { kind: 'gauge', help: 'Resident memory', read: () => [[process.memoryUsage.rss()]] },
  process_cpu_seconds_total: {
    kind: 'counter',
    help: 'Processor time, of the user and of the system',
    read: () => [[(process.cpuUsage().user + process.cpuUsage().system) / 1e6]],
  },
  process_start_time_seconds: {
    kind: 'gauge',
    help: 'Start of the process since 1970',
    read: () => [[performance.timeOrigin / 1000]],
  },
};

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

function* instancesByStatus({ registry, running }: Measured): Iterable<MetricSample | typeof pause> {
  const counts = { Running: 0, Ready: 0, Stopped: 0 };
  for (const [instance] of running.entries()) {
    counts[statusOf(instance)]++;
    yield pause;
  }
  counts.Stopped = Math.max(0, registry.size - counts.Running - counts.Ready);
  for (const [status, count] of Object.entries(counts)) yield [count, { status }];
}

function* unmergedDocuments({ registry }: Measured): Iterable<MetricSample | typeof pause> {
  let sum = 0;
  for (const instance of registry.instances()) {
    sum += knownUnmergedKeys(instance).size;
    yield pause;
  }
  yield [sum];
}

function* requests(counts: RequestCounts): Iterable<MetricSample> {
  for (const { endpoint, status, count } of counts.entries()) yield [count, { endpoint, status }];
}

function ofSource(source: Sync | undefined, read: (source: Sync) => number, labels = {}): MetricSample[] {
  return source === undefined ? [] : [[read(source), labels]];
}

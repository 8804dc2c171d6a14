import { statfsSync } from 'node:fs';
import { descriptorLimit, openDescriptors } from '../gate/file-descriptors.js';
import { hasKnownMerge, knownUnmergedKeys, unmergedKeys } from '../instances/cloud-init/guest-value.js';
import { isForGuests, sizeOf } from '../model/image.js';
import { version } from '../package-root.js';
import { type MetricDeclarations, type MetricSample, pause } from './declaration.js';
import { guestMetrics, requestSamples } from './guest-metrics.js';
import type { Measured } from './measured.js';
import { sourceMetrics } from './source-metrics.js';

/** Every metric, read when it is asked for; docs/metrics.md has one line for each, which a test holds. */
export const metricDeclarations: MetricDeclarations<Measured> = {
  devlxd_build_info: {
    kind: 'gauge',
    help: 'The version of devlxd, and of the Node that runs it',
    labels: ['version', 'node'],
    read: () => [[1, { version, node: process.version }]],
  },
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
  ...guestMetrics,
  devlxd_images: {
    kind: 'gauge',
    help: 'Images in the store, by whether guests may export them',
    labels: ['exportable'],
    read: imagesByExportable,
  },
  devlxd_image_bytes: {
    kind: 'gauge',
    help: 'Size of their files',
    read: ({ images }) => [[images.list().reduce((sum, image) => sum + sizeOf(image), 0)]],
  },
  devlxd_image_exports: {
    kind: 'gauge',
    help: 'Exports of images to guests that are under way, and that wait for their turn',
    labels: ['state'],
    read: ({ dispatcher: { imageExports } }) => [
      [imageExports.sending, { state: 'sending' }],
      [imageExports.waiting, { state: 'waiting' }],
    ],
  },
  devlxd_control_requests_total: {
    kind: 'counter',
    help: 'Requests of operators by endpoint and status',
    labels: ['endpoint', 'status'],
    read: ({ host }) => requestSamples(host().requests),
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
    help: 'End of the last transaction since 1970, by outcome',
    labels: ['outcome'],
    handedOn: true,
    *read({ registry: { commits } }) {
      if (commits.lastDone > 0) yield [commits.lastDone / 1000, { outcome: 'done' }];
      if (commits.lastFailed > 0) yield [commits.lastFailed / 1000, { outcome: 'failed' }];
    },
  },
  devlxd_store_free_bytes: {
    kind: 'gauge',
    help: 'Free bytes on the disk of the store, for users other than root',
    read: ({ stateDir }) => [[freeBytes(stateDir)]],
  },
  devlxd_event_loop_delay_seconds: {
    kind: 'gauge',
    help: 'The longest turn of the event loop in the last minute',
    read: (all) => [[all.eventLoopDelay.worstSeconds]],
  },
  devlxd_log_lines_lost_total: {
    kind: 'counter',
    help: 'Lines of the log that standard error did not take: its disk was full, or its reader had gone or was too slow',
    read: ({ logLines }) => [[logLines.lost]],
  },
  devlxd_watchdog_interval_seconds: {
    kind: 'gauge',
    help: 'Interval of the systemd watchdog; 0: off',
    read: (all) => [[all.watchdogSeconds]],
  },
  ...sourceMetrics,
  process_open_fds: { kind: 'gauge', help: 'Open file descriptors', read: () => [[openDescriptors()]] },
  process_max_fds: { kind: 'gauge', help: 'Most file descriptors', read: () => [[descriptorLimit()]] },
  process_resident_memory_bytes: { kind: 'gauge', help: 'Resident memory', read: () => [[process.memoryUsage.rss()]] },
  process_cpu_seconds_total: {
    kind: 'counter',
    help: 'Processor time, of the user and of the system',
    handedOn: false,
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

function imagesByExportable({ images }: Measured): MetricSample[] {
  const all = images.list();
  const exportable = all.filter(isForGuests).length;
  return [
    [exportable, { exportable: 'yes' }],
    [all.length - exportable, { exportable: 'no' }],
  ];
}

function* instancesByStatus({ registry, running }: Measured): Iterable<MetricSample | typeof pause> {
  const counts = { Running: 0, Ready: 0, Stopped: 0 };
  for (const [instance] of running.entries()) {
    counts[instance.guestState === 'Ready' ? 'Ready' : 'Running']++;
    yield pause;
  }
  counts.Stopped = Math.max(0, registry.size - counts.Running - counts.Ready);
  for (const [status, count] of Object.entries(counts)) yield [count, { status }];
}

/** So that a scrape after a start, when no guest has read yet, takes no longer than others by much. */
const looksPerScrape = 1000;

/** What runs and was not looked at since it has changed, or since the start: each scrape looks at some. */
function* lookAtMerges({ running }: Measured): Iterable<typeof pause> {
  let left = looksPerScrape;
  for (const [instance] of running.entries()) {
    if (left === 0) return;
    if (!hasKnownMerge(instance)) {
      unmergedKeys(instance);
      left--;
    }
    yield pause;
  }
}

function* unmergedDocuments(measured: Measured): Iterable<MetricSample | typeof pause> {
  yield* lookAtMerges(measured);
  let sum = 0;
  for (const instance of measured.registry.instances()) {
    sum += knownUnmergedKeys(instance).size;
    yield pause;
  }
  yield [sum];
}

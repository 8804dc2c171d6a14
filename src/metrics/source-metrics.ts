import { heldReasons } from '../fleet/held.js';
import type { MetricDeclarations, MetricSample } from './declaration.js';
import type { Measured } from './measured.js';

/** Of what --source names. */
export const sourceMetrics: MetricDeclarations<Measured> = {
  devlxd_source_connected: {
    kind: 'gauge',
    help: 'Is the daemon that --source names there?',
    read: (all) => of(followed(all), ({ connected }) => Number(connected)),
  },
  devlxd_source_age_seconds: {
    kind: 'gauge',
    help: 'How old what is served of its instances may be; 0 when it is what the source has',
    read: (all) => of(followed(all), ({ age }) => age),
  },
  devlxd_source_last_read_timestamp_seconds: {
    kind: 'gauge',
    help: 'When all that the source has was last read, since 1970',
    read: (all) => {
      const lastRead = followed(all)?.lastRead;
      return lastRead === undefined ? [] : [[lastRead / 1000]];
    },
  },
  devlxd_source_socket_taken: {
    kind: 'gauge',
    help: "Do the source's guests reach this daemon (1), at path, or not (0), and why",
    labels: ['path', 'reason'],
    read: ({ source }) => {
      const socket = source()?.guestSocket;
      return socket === undefined ? [] : [[Number(socket.reason === ''), { ...socket }]];
    },
  },
  devlxd_source_requests_total: {
    kind: 'counter',
    help: 'What the source was asked for: all of its instances, or one, and with their pids',
    labels: ['scope'],
    read: (all) => Object.entries(followed(all)?.asked ?? {}).map(([scope, count]) => [count, { scope }]),
  },
  devlxd_source_held: {
    kind: 'gauge',
    help: 'Is what etcd says held back (1) until it is accepted, and why?',
    labels: ['reason'],
    read: ({ fleet }) =>
      heldReasons.flatMap((reason) => of(fleet(), ({ held }) => Number(held === reason), { reason })),
  },
  devlxd_source_refused: {
    kind: 'gauge',
    help: 'Values in etcd that cannot be read or applied; the log and `devlxd source show` say why',
    read: ({ fleet }) => of(fleet(), ({ refused }) => refused),
  },
};

/** LXD, Incus or the fleet. */
function followed({ source, fleet }: Measured) {
  return source()?.sync ?? fleet();
}

function of<Source>(source: Source | undefined, read: (source: Source) => number, labels = {}): MetricSample[] {
  return source === undefined ? [] : [[read(source), labels]];
}

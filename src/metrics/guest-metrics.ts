import { noEndpoint, type RequestCounts } from '../http/request-counts.js';
import { countedLimits } from '../limits/limit-hits.js';
import { type LimitName, limitDeclarations } from '../limits/limits.js';
import { histogramSamples, type MetricDeclarations, type MetricSample } from './declaration.js';
import type { Measured } from './measured.js';

/** Connections and requests of guests, and the limits on what they may take. */
export const guestMetrics: MetricDeclarations<Measured> = {
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
  devlxd_listeners: {
    kind: 'gauge',
    help: 'Open event streams, of guests and of operators',
    labels: ['role'],
    read: ({ listeners, controlEvents }) => [
      [listeners.size, { role: 'guest' }],
      [controlEvents.size, { role: 'control' }],
    ],
  },
  devlxd_guest_requests_total: {
    kind: 'counter',
    help: 'Requests of guests by endpoint and status; a stream of events counts when it begins',
    labels: ['endpoint', 'status'],
    *read(measured) {
      for (const [endpoint, byStatus] of requestsByEndpoint(measured))
        for (const [status, count] of byStatus) yield [count, { endpoint, status }];
    },
  },
  devlxd_guest_responses_cached_total: {
    kind: 'counter',
    help: 'Of these, requests that came again and were answered without JavaScript',
    read: ({ gate }) => [[gate.counters().cacheHits]],
  },
  devlxd_guest_request_duration_seconds: {
    kind: 'histogram',
    help: 'Time from when a request of a guest could be read to when its answer was given, without streams and exports',
    read: ({ gate }) => histogramSamples(gate.measures().took),
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
  devlxd_guest_held_duration_seconds: {
    kind: 'histogram',
    help: 'Time that requests have waited so, of those that do not wait any more',
    read: ({ gate }) => histogramSamples(gate.measures().held),
  },
  devlxd_guest_refusals_total: {
    kind: 'counter',
    help: 'Connections of guests that were closed at once, and requests that were refused, by the reason',
    labels: ['reason'],
    read: refusals,
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
    help: 'When a limit was last reached, since 1970',
    labels: ['limit'],
    handedOn: true,
    *read({ limitHits }) {
      for (const limit of countedLimits) if (limitHits.last(limit) > 0) yield [limitHits.last(limit) / 1000, { limit }];
    },
  },
  devlxd_limit_used: {
    kind: 'gauge',
    help: 'What is used of a limit now; of one that each instance or user has, by the one that uses most',
    labels: ['limit'],
    *read(measured) {
      for (const [limit, used] of Object.entries(usedOf(measured))) yield [used, { limit }];
    },
  },
  devlxd_limit_max: {
    kind: 'gauge',
    help: 'What may be used of a limit; none where it is switched off',
    labels: ['limit'],
    *read(measured) {
      for (const limit of Object.keys(usedOf(measured))) {
        const most = limit === 'connections' ? measured.gate.counters().room : measured.limits[limit as LimitName];
        if (most > 0) yield [most, { limit }];
      }
    },
  },
};

/** With the ones that the gate has answered by itself. */
function requestsByEndpoint({ dispatcher: { requests }, gate }: Measured): Map<string, Map<string, number>> {
  const { answered, refused } = gate.measures();
  const found = new Map<string, Map<string, number>>();
  const add = (endpoint: string, status: string, count: number): void => {
    const byStatus = found.get(endpoint) ?? new Map<string, number>();
    found.set(endpoint, byStatus.set(status, (byStatus.get(status) ?? 0) + count));
  };
  for (const { endpoint, status, kind, count } of requests.entries())
    add(endpoint, status, count + (answered[kind] ?? 0));
  add(noEndpoint, '400', refused.badRequest);
  add(noEndpoint, '431', refused.tooLarge);
  add(noEndpoint, '501', refused.unknownCoding);
  return found;
}

export function* requestSamples(counts: RequestCounts): Iterable<MetricSample> {
  for (const { endpoint, status, count } of counts.entries()) yield [count, { endpoint, status }];
}

/** Limits beyond which a connection is closed at once. */
const closing = Object.keys(limitDeclarations).filter((name) => name.startsWith('connections')) as LimitName[];

function refusals(measured: Measured): MetricSample[] {
  const { limitHits, gateLimitHits, gate } = measured;
  gateLimitHits.poll();
  const { refused } = gate.measures();
  const byEndpoint = [...requestsByEndpoint(measured).values()];
  const answered = (status: string): number => byEndpoint.reduce((sum, counts) => sum + (counts.get(status) ?? 0), 0);
  const reasons: Record<string, number> = {
    'not-registered': limitHits.total('hold-seconds'),
    'not-identified': limitHits.total('unidentified'),
    'not-root': answered('401'),
    forbidden: answered('403'),
    'not-a-request': refused.badRequest + refused.unknownCoding,
    'head-too-long': refused.tooLarge,
    'body-too-long': limitHits.total('guest-body'),
    descriptors: limitHits.total('descriptors'),
  };
  for (const limit of closing) reasons[limit] = limitHits.total(limit as 'connections');
  return Object.entries(reasons).map(([reason, count]) => [count, { reason }]);
}

function usedOf({ gate, uwsServer, dispatcher }: Measured): Readonly<Record<string, number>> {
  const { unread, bodies, unreadAnswers } = uwsServer;
  return {
    ...gate.measures().used,
    'event-backlog-instance': unread.mostOfInstance,
    'event-backlog-total': unread.charged,
    'guest-body-instance': bodies.mostOfInstance,
    'guest-body-total': bodies.total,
    'unread-answers-instance': unreadAnswers.mostOfInstance,
    'unread-answers-total': unreadAnswers.total,
    'image-exports': dispatcher.imageExports.mostOfInstance,
  };
}

import { Counter, Gauge, Registry as Metrics } from 'prom-client';
import type { Gate } from '../gate/gate.js';
import type { GuestDispatcher } from '../guest/dispatcher.js';
import type { Listeners } from '../guest/events/listeners.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Instance } from '../model/instance.js';

/** The parts that know something of each instance. */
export interface MeasuredInstances {
  readonly registry: Registry;
  readonly running: RunningInstances;
  readonly gate: Gate;
  readonly dispatcher: GuestDispatcher;
  readonly listeners: Listeners;
}

interface Declaration {
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  readonly read: (measured: MeasuredInstances, instance: Instance, slot: number) => number;
}

/**
 * What is measured of each running instance, with the labels `project` and `instance`. They are as many as there are
 * instances, so they are given on request only; docs/metrics.md has one line for each, which a test holds.
 */
export const instanceMetricDeclarations: Readonly<Record<string, Declaration>> = {
  devlxd_instance_connections: {
    kind: 'gauge',
    help: 'Open connections of one instance',
    read: ({ gate }, _instance, slot) => gate.countersOf(slot).connections,
  },
  devlxd_instance_listeners: {
    kind: 'gauge',
    help: 'Open event streams of one instance',
    read: ({ listeners }, { id }) => listeners.of(id),
  },
  devlxd_instance_requests_total: {
    kind: 'counter',
    help: 'Requests of one instance, with those that were answered again since it was started',
    read: ({ dispatcher, gate }, { id }, slot) => dispatcher.requestsOf(id) + gate.countersOf(slot).cacheHits,
  },
  devlxd_instance_refused_total: {
    kind: 'counter',
    help: 'Connections of one instance that were closed at once, since it was started: it had its share',
    read: ({ gate }, _instance, slot) => gate.countersOf(slot).refused,
  },
  devlxd_instance_throttled_total: {
    kind: 'counter',
    help: 'Reads of its connections that waited, because it had used up its rate, since it was started',
    read: ({ gate }, _instance, slot) => gate.countersOf(slot).throttled,
  },
};

/** All of them now, in Prometheus's text format. */
export function instanceMetrics(measured: MeasuredInstances): Promise<string> {
  const metrics = new Metrics();
  const running = measured.registry.list().flatMap((instance) => {
    const slot = measured.running.slotOf(instance);
    return slot === undefined ? [] : [[instance, slot] as const];
  });
  for (const [name, { kind, help, read }] of Object.entries(instanceMetricDeclarations)) {
    const options = { name, help, labelNames: ['project', 'instance'], registers: [metrics] };
    const metric = kind === 'gauge' ? new Gauge(options) : new Counter(options);
    for (const [instance, slot] of running) {
      metric.inc({ project: instance.project, instance: instance.name }, read(measured, instance, slot));
    }
  }
  return metrics.metrics();
}

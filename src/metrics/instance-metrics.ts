import { knownUnmergedKeys } from '../instances/cloud-init/guest-value.js';
import type { Instance } from '../model/instance.js';
import { type MetricDeclaration, type MetricDeclarations, type MetricSample, pause } from './declaration.js';
import type { Measured } from './measured.js';

type Read = (measured: Measured, instance: Instance, slot: number) => number;

/**
 * The metrics of each running instance, with the labels `project` and `instance`. Their number grows with the
 * instances, so they are given on request only; docs/metrics.md has one line for each, which a test holds.
 */
export const instanceMetricDeclarations: MetricDeclarations<Measured> = {
  devlxd_instance_connections: {
    kind: 'gauge',
    help: 'Open connections of one instance',
    ...ofEach(({ gate }, _instance, slot) => gate.countersOf(slot).connections),
  },
  devlxd_instance_listeners: {
    kind: 'gauge',
    help: 'Open event streams of one instance',
    ...ofEach(({ listeners }, { id }) => listeners.of(id)),
  },
  devlxd_instance_requests_total: {
    kind: 'counter',
    help: 'Requests of one instance',
    ...ofEach(
      ({ dispatcher, gate }, { id }, slot) => dispatcher.instanceRequests.of(id) + gate.countersOf(slot).answered,
    ),
  },
  devlxd_instance_limit_hits_total: {
    kind: 'counter',
    help: 'How often one instance reached a limit',
    labels: ['project', 'instance', 'limit'],
    read: limitHitsOf,
  },
  devlxd_instance_unmerged_documents: {
    kind: 'gauge',
    help: 'Values of one instance, running or not, that its ssh keys are not in, by the key and the reason',
    labels: ['project', 'instance', 'key', 'reason'],
    read: unmergedOf,
  },
};

function ofEach(read: Read): Pick<MetricDeclaration<Measured>, 'labels' | 'read'> {
  return {
    labels: ['project', 'instance'],
    *read(measured) {
      for (const [instance, slot] of measured.running.entries())
        yield [read(measured, instance, slot), labelsOf(instance)];
    },
  };
}

function* limitHitsOf(measured: Measured): Iterable<MetricSample | typeof pause> {
  measured.gateLimitHits.poll();
  for (const [instance] of measured.running.entries()) {
    for (const [limit, times] of measured.limitHits.of(instance.id)) yield [times, { ...labelsOf(instance), limit }];
    yield pause;
  }
}

function* unmergedOf({ registry }: Measured): Iterable<MetricSample | typeof pause> {
  for (const instance of registry.instances()) {
    for (const [key, reason] of knownUnmergedKeys(instance)) yield [1, { ...labelsOf(instance), key, reason }];
    yield pause;
  }
}

function labelsOf({ project, name: instance }: Instance): { project: string; instance: string } {
  return { project, instance };
}

import type { CountedSeries, Counts } from '../handover/counts.js';
import { metricDeclarations } from './daemon-metrics.js';
import type { Continued, MetricSamples } from './declaration.js';
import type { Measured } from './measured.js';

/** What the daemon before this one has counted. This one goes on from there, so no counter falls in a takeover. */
export class CountsBefore {
  /** by metric, and within it by labels and suffix */
  readonly #series = new Map<string, Map<string, CountedSeries>>();

  constructor({ series }: Pick<Counts, 'series'>) {
    for (const one of series) {
      const ofMetric = this.#series.get(one.metric) ?? new Map<string, CountedSeries>();
      this.#series.set(one.metric, ofMetric.set(keyOf(one.labels, one.suffix), one));
    }
  }

  /** samples: what is counted since; gives the same with what was counted before */
  goOn(metric: string, declaration: Continued, samples: MetricSamples): MetricSamples {
    const { kind } = declaration;
    const before = this.#series.get(metric);
    if (before === undefined || !isHandedOn(declaration)) return samples;
    if (kind === 'gauge') return latest(before, samples);
    return kind === 'counter' ? sums(before, samples) : sumsOfHistogram(before, samples);
  }

  /** All of it, for the daemon that goes on from here. */
  counts(measured: Measured): Counts {
    const series: CountedSeries[] = [];
    for (const [metric, declaration] of Object.entries(metricDeclarations)) {
      if (!isHandedOn(declaration)) continue;
      for (const sample of this.goOn(metric, declaration, declaration.read(measured))) {
        if (sample === undefined || sample[0] === 0) continue;
        const [value, labels = {}, suffix = ''] = sample;
        series.push({ metric, labels, suffix, value });
      }
    }
    return { series, instances: instancesOf(measured) };
  }
}

function isHandedOn({ kind, handedOn = kind !== 'gauge' }: Continued): boolean {
  return handedOn;
}

/** In any order: another version may declare them in another one. */
function keyOf(labels: Readonly<Record<string, string>> = {}, suffix = ''): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([suffix, sorted]);
}

function* sums(before: ReadonlyMap<string, CountedSeries>, samples: MetricSamples): MetricSamples {
  const left = new Map(before);
  for (const sample of samples) {
    if (sample === undefined) {
      yield sample;
      continue;
    }
    const [value, labels = {}, suffix = ''] = sample;
    const key = keyOf(labels, suffix);
    yield [value + (left.get(key)?.value ?? 0), labels, suffix];
    left.delete(key);
  }
  // Where nothing is counted now, as without a source, there is no such metric.
  if (left.size < before.size) for (const { value, labels, suffix } of left.values()) yield [value, labels, suffix];
}

/** With other bounds, as of another version, the sum would be none. */
function sumsOfHistogram(before: ReadonlyMap<string, CountedSeries>, samples: MetricSamples): MetricSamples {
  const all = [...samples];
  const known = new Set(all.map((sample) => sample && keyOf(sample[1], sample[2])));
  return [...before.keys()].every((key) => known.has(key)) ? sums(before, all) : all;
}

function* latest(before: ReadonlyMap<string, CountedSeries>, samples: MetricSamples): MetricSamples {
  const left = new Map(before);
  for (const sample of samples) {
    if (sample !== undefined) left.delete(keyOf(sample[1], sample[2]));
    yield sample;
  }
  for (const { value, labels, suffix } of left.values()) yield [value, labels, suffix];
}

function instancesOf({ dispatcher, limitHits, gateLimitHits, gate, running }: Measured): Counts['instances'] {
  gateLimitHits.poll();
  const requests = new Map(dispatcher.instanceRequests.entries());
  for (const [{ id }, slot] of running.entries())
    requests.set(id, (requests.get(id) ?? 0) + gate.countersOf(slot).answered);
  const ids = new Set([...requests.keys(), ...limitHits.ofInstances.keys()]);
  return [...ids].map((id) => ({
    id,
    requests: requests.get(id) ?? 0,
    limitHits: Object.fromEntries(limitHits.of(id)),
  }));
}

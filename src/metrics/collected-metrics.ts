import { Counter, Gauge, Registry } from 'prom-client';
import { type Measured, metricDeclarations } from './daemon-metrics.js';
import { instanceMetricDeclarations, type MeasuredInstances } from './instance-metrics.js';

export type MetricSample = readonly [value: number, labels?: Readonly<Record<string, string>>];

export interface MetricDeclaration<Parts> {
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  readonly labels?: readonly string[];
  readonly read: (parts: Parts) => Iterable<MetricSample>;
}

/** All metrics of the daemon: two registries for its life, which read the parts of the daemon at each scrape. */
export class CollectedMetrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly #daemon: Registry;
  readonly #instances: Registry;

  constructor(parts: Measured & MeasuredInstances) {
    this.#daemon = registryOf(metricDeclarations, parts);
    this.#instances = registryOf(instanceMetricDeclarations, parts);
  }

  /** Prometheus's text format; perInstance: with the metrics of each running instance. */
  async text(perInstance: boolean): Promise<string> {
    const ofDaemon = await this.#daemon.metrics();
    return perInstance ? `${ofDaemon}${await this.#instances.metrics()}` : ofDaemon;
  }
}

function registryOf<Parts>(
  declarations: Readonly<Record<string, MetricDeclaration<Parts>>>,
  parts: Parts,
): Registry<typeof Registry.PROMETHEUS_CONTENT_TYPE> {
  const registry = new Registry();
  for (const [name, { kind, help, labels = [], read }] of Object.entries(declarations)) {
    const Metric = kind === 'gauge' ? Gauge : Counter;
    registry.registerMetric(
      new Metric({
        name,
        help,
        labelNames: labels,
        registers: [],
        collect() {
          this.reset();
          const samples = [...read(parts)];
          if (samples.length === 0 && labels.length === 0) this.remove(); // no value is not 0
          for (const [value, of = {}] of samples) this.inc(of, value);
        },
      }),
    );
  }
  return registry;
}

import type { Durations } from '../gate/gate.js';

/** suffix: of a histogram, what the name of this series ends with */
export type MetricSample = readonly [value: number, labels?: Labels, suffix?: string];

export type Labels = Readonly<Record<string, string>>;

/** A place where reading may stop for a moment, when many are looked at and few have a value. */
export const pause = undefined;

export type MetricSamples = Iterable<MetricSample | typeof pause>;

/** What becomes of a metric when another daemon takes over. */
export interface Continued {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** Does that daemon go on from it? Unless it says otherwise: if it is no gauge. */
  readonly handedOn?: boolean;
}

export interface MetricDeclaration<Parts> extends Continued {
  readonly help: string;
  readonly labels?: readonly string[];
  readonly read: (parts: Parts) => MetricSamples;
}

export type MetricDeclarations<Parts> = Readonly<Record<string, MetricDeclaration<Parts>>>;

/** The series of a histogram: cumulative, as Prometheus has them. */
export function* histogramSamples({ bounds, counts, sum }: Durations): Iterable<MetricSample> {
  let count = 0;
  for (const [at, more] of counts.entries()) {
    count += more;
    yield [count, { le: at < bounds.length ? String(bounds[at]) : '+Inf' }, '_bucket'];
  }
  yield [sum, {}, '_sum'];
  yield [count, {}, '_count'];
}

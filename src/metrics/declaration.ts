/** suffix: of a histogram, what the name of this series ends with */
export type MetricSample = readonly [value: number, labels?: Labels, suffix?: string];

export type Labels = Readonly<Record<string, string>>;

/** A place where reading may stop for a moment, when many are looked at and few have a value. */
export const pause = undefined;

export interface MetricDeclaration<Parts> {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels?: readonly string[];
  readonly read: (parts: Parts) => Iterable<MetricSample | typeof pause>;
}

export type MetricDeclarations<Parts> = Readonly<Record<string, MetricDeclaration<Parts>>>;

/** One series of a counter, of a histogram, or of a time at which something was last so. */
export interface CountedSeries {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  /** of a histogram, what the name of the series ends with */
  readonly suffix: string;
  readonly value: number;
}

/** What one instance has asked, and which limits it has reached. */
export interface CountedInstance {
  readonly id: number;
  readonly requests: number;
  readonly limitHits: Readonly<Record<string, number>>;
}

/** What a daemon has counted, for the daemon that goes on in its place: Prometheus sees one daemon. */
export interface Counts {
  readonly series: readonly CountedSeries[];
  readonly instances: readonly CountedInstance[];
}

export const noCounts: Counts = { series: [], instances: [] };

/** Few enough that a line of the handover is smaller than the buffer of a socket. */
const mostInLine = 200;

/** The same in parts. */
export function* partsOf({ series, instances }: Counts): Iterable<Counts> {
  for (let at = 0; at < Math.max(series.length, instances.length); at += mostInLine)
    yield { series: series.slice(at, at + mostInLine), instances: instances.slice(at, at + mostInLine) };
}

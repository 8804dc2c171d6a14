/** One line of Prometheus's text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/gm;
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Reads Prometheus's text format, version 0.0.4. */
export function samplesOf(text: string): Sample[] {
  return [...text.matchAll(line)].map(([, name = '', labels = '', value = '']) => {
    return { name, labels: labelsOf(labels), value: Number(value) };
  });
}

/** The value of the first sample with this name and these labels; undefined: there is none. */
export function metricValue(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const wanted = Object.entries(labels);
  return samples.find((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value))
    ?.value;
}

function labelsOf(text: string): Record<string, string> {
  const found = [...text.matchAll(label)].map(([, name = '', value = '']) => [name, unescaped(value)]);
  return Object.fromEntries(found);
}

function unescaped(value: string): string {
  return value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
}

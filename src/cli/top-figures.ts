import { samplesOf } from '../metrics/exposition.js';

/** What a look at the metrics gives; totals by metric, over all labels. */
export interface Figures {
  /** milliseconds since 1970 */
  readonly at: number;
  readonly totals: ReadonlyMap<string, number>;
  readonly instances: ReadonlyMap<string, InstanceFigures>;
}

export interface InstanceFigures {
  readonly project: string;
  readonly instance: string;
  /** requests a second since the look before; undefined at the first */
  readonly rate: number | undefined;
  /** by what the column is called */
  readonly values: Readonly<Record<string, number>>;
}

const ofInstance = /^devlxd_instance_(.+?)(?:_total)?$/;

/** text: the metrics, per instance as well; at: when they were asked for */
export function figuresOf(text: string, at: number): Figures {
  const totals = new Map<string, number>();
  const values = new Map<string, { project: string; instance: string; values: Record<string, number> }>();
  for (const { name, labels, value } of samplesOf(text)) {
    const [, column] = ofInstance.exec(name) ?? [];
    if (column === undefined) {
      totals.set(name, (totals.get(name) ?? 0) + value);
      continue;
    }
    const { project = '', instance = '' } = labels;
    const key = `${project}/${instance}`;
    const known = values.get(key) ?? { project, instance, values: {} };
    const title = column.replaceAll('_', ' ');
    known.values[title] = (known.values[title] ?? 0) + value;
    values.set(key, known);
  }
  const instances = [...values].map(([key, each]) => [key, { ...each, rate: undefined }] as const);
  return { at, totals, instances: new Map(instances) };
}

/** What is shown of a look, with rates since the one before; the busiest instances first. */
export function differenceOf(
  before: Figures | undefined,
  now: Figures,
): { totals: string; instances: InstanceFigures[] } {
  const seconds = before === undefined ? undefined : (now.at - before.at) / 1000;
  const instances = [...now.instances].map(([key, figures]) => {
    const rate = rateOf(requestsOf(before?.instances.get(key)), requestsOf(figures), seconds);
    return { ...figures, rate };
  });
  return { totals: totalsLine(before, now, seconds), instances: instances.sort(busiestFirst) };
}

function totalsLine(before: Figures | undefined, { totals }: Figures, seconds: number | undefined): string {
  const of = (name: string): number => totals.get(name) ?? 0;
  const answered = 'devlxd_guest_requests_total';
  const rate = rateOf(before?.totals.get(answered) ?? 0, of(answered), seconds);
  return [
    `requests ${of(answered)}${rate === undefined ? '' : ` (${rate.toFixed(1)}/s)`}`,
    `connections ${of('devlxd_connections')}`,
    `listeners ${of('devlxd_listeners')}`,
    `limit hits ${of('devlxd_limit_hits_total')}`,
    `instances ${of('devlxd_instances')}`,
  ].join(', ');
}

function rateOf(before: number, now: number, seconds: number | undefined): number | undefined {
  return seconds === undefined || seconds <= 0 ? undefined : Math.max(0, now - before) / seconds;
}

function requestsOf(figures: InstanceFigures | undefined): number {
  return figures?.values['requests'] ?? 0;
}

function busiestFirst(a: InstanceFigures, b: InstanceFigures): number {
  const byRate = (b.rate ?? 0) - (a.rate ?? 0);
  const byLoad = requestsOf(b) - requestsOf(a) || sumOf(b) - sumOf(a);
  return byRate || byLoad || (a.instance < b.instance ? -1 : 1);
}

function sumOf({ values }: InstanceFigures): number {
  return Object.values(values).reduce((sum, value) => sum + value, 0);
}

import { type EChartsOption, init } from 'echarts';
import type { SideResult, TrialResult } from '../measure.js';

/** A plot as SVG documents, and what it says. */
export interface Chart {
  readonly title: string;
  readonly text: string;
  readonly svg: Drawn;
}

/** The same plot for a page of that width and for a telephone: a drawing that is shrunk cannot be read. */
export interface Drawn {
  readonly wide: string;
  readonly narrow: string;
}

const [wideWidth, narrowWidth] = [860, 380];
const [plotHeight, lineHeight] = [300, 44];
/** Text is wider where it is shown than where it is measured, without a font. */
const itemGap = 30;

/** The plots that these trials allow; one without its trials is left out. */
export function chartsOf(trials: readonly TrialResult[]): Chart[] {
  return [
    throughput(trials),
    instances(trials),
    memory(trials),
    stored(trials),
    beside(trials),
    identity(trials),
    exports(trials),
  ].flatMap((chart) => chart ?? []);
}

function throughput(trials: readonly TrialResult[]): Chart | undefined {
  const shown = trials.filter(({ name }) => name.startsWith('keepalive-') || name === 'connect');
  if (shown.length === 0) return undefined;
  const sides = [...new Set(shown.flatMap((trial) => trial.sides.map(({ side }) => side)))];
  return {
    title: 'Requests a second',
    text: 'GET /1.0 on this many kept connections, and on a new connection each (16 at a time). Longer is better.',
    svg: draw({
      legend: { top: 0, left: 0, itemGap },
      xAxis: {
        type: 'category',
        data: shown.map(({ name }) => name.replace('keepalive-', '')),
        name: 'connections',
        axisLabel: { interval: 0 },
      },
      yAxis: { type: 'value', name: 'requests/s' },
      series: sides.map((side) => ({
        name: side,
        type: 'bar',
        data: shown.map((trial) => sideOf(trial, side)?.median ?? 0),
      })),
    }),
  };
}

function instances(trials: readonly TrialResult[]): Chart | undefined {
  const trial = trials.find(({ name }) => name === 'instances');
  if (trial === undefined) return undefined;
  const line = (name: string) => ({
    name,
    type: 'line' as const,
    data: trial.sides.map(({ side, also }) => [Number(side.replace('of ', '')), also[name] ?? 0]),
  });
  return {
    title: 'Latency against the number of instances',
    text: 'One guest connects, asks GET /1.0 and closes, one at a time, while this many instances run. Flat is what it should be.',
    svg: draw({
      legend: { top: 0, left: 0, itemGap },
      xAxis: { type: 'log', name: 'instances' },
      yAxis: { type: 'value', name: 'us' },
      series: [line('p50 us'), line('p99 us')],
    }),
  };
}

function memory(trials: readonly TrialResult[]): Chart | undefined {
  const held = trials.filter(({ name }) => name.startsWith('listeners-'));
  if (held.length === 0) return undefined;
  const sides = [...new Set(held.flatMap((trial) => trial.sides.map(({ side }) => side)))];
  return {
    title: 'Memory against listeners',
    text: 'Resident memory of the server with this many idle WebSocket listeners. Lower is better.',
    svg: draw({
      legend: { top: 0, left: 0, itemGap },
      xAxis: { type: 'value', name: 'listeners' },
      yAxis: { type: 'value', name: 'MB' },
      series: sides.map((side) => ({
        name: side,
        type: 'line',
        data: held.flatMap((trial) => {
          const { also } = sideOf(trial, side) ?? {};
          return also === undefined ? [] : [[also['listeners'] ?? 0, also['after MB'] ?? 0]];
        }),
      })),
    }),
  };
}

/** What grows with the instances that are stored, in seconds. */
function stored(trials: readonly TrialResult[]): Chart | undefined {
  const series = ['apply', 'list', 'start'].flatMap((name) => {
    const trial = trials.find((each) => each.name === name);
    if (trial === undefined) return [];
    const data = trial.sides.map(({ side, median }) => {
      const count = Number(side.replace('of ', ''));
      return [count, trial.unit === 's' ? median : count / median];
    });
    return [{ name, type: 'line' as const, data }];
  });
  if (series.length === 0) return undefined;
  return {
    title: 'Cost against the number of stored instances',
    text: 'To apply this many to an empty daemon, to list all of them, and to start with them. Both scales are logarithmic: a linear cost crosses the boxes of the grid from corner to corner.',
    svg: draw({
      legend: { top: 0, left: 0, itemGap },
      xAxis: { type: 'log', name: 'instances stored' },
      yAxis: { type: 'log', name: 's' },
      series,
    }),
  };
}

/** What a guest waits for while an operator works. */
function beside(trials: readonly TrialResult[]): Chart | undefined {
  const shown = trials.flatMap((trial) => {
    const [, work, size] = /^beside-(.+)-(\d+)$/.exec(trial.name) ?? [];
    return work === undefined || size === undefined ? [] : [{ work, size, trial }];
  });
  if (shown.length === 0) return undefined;
  const works = [...new Set(shown.map(({ work }) => work))];
  const sizes = [...new Set(shown.map(({ size }) => size))];
  const longest = (wanted: string, size: string): number => {
    const found = shown.find((each) => each.work === wanted && each.size === size);
    return found === undefined ? 0 : (sideOf(found.trial, wanted)?.median ?? 0);
  };
  return {
    title: 'Longest wait of a guest beside an operator',
    text: 'While an operator does this over and over, with this many instances stored. Shorter is better.',
    svg: draw({
      legend: { top: 0, left: 0, itemGap },
      xAxis: { type: 'value', name: 'ms' },
      yAxis: { type: 'category', inverse: true, data: works },
      series: sizes.map((size) => ({
        name: Number(size).toLocaleString('en-US'),
        type: 'bar',
        data: works.map((work) => longest(work, size)),
      })),
    }),
  };
}

function identity(trials: readonly TrialResult[]): Chart | undefined {
  return bars(trials, 'identity', {
    title: 'Whose is a connection?',
    text: 'What it takes to ask the kernel, by the path that it offers, and with pid namespaces in between. Shorter is better.',
  });
}

function exports(trials: readonly TrialResult[]): Chart | undefined {
  return bars(trials, 'export-1', {
    title: 'Export of an image to one reader',
    text: 'From the page cache, against cat into an accepted socket. Longer is better.',
  });
}

function bars(trials: readonly TrialResult[], name: string, texts: Pick<Chart, 'title' | 'text'>): Chart | undefined {
  const trial = trials.find((each) => each.name === name);
  if (trial === undefined) return undefined;
  const svg = draw({
    xAxis: { type: 'value', name: trial.unit },
    yAxis: { type: 'category', inverse: true, data: trial.sides.map(({ side }) => side) },
    series: [{ type: 'bar', data: trial.sides.map((side) => side.median), label: { show: true, formatter: rounded } }],
  });
  return { ...texts, svg };
}

function rounded({ value }: { value?: unknown }): string {
  return Number(value).toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

function draw(option: EChartsOption): Drawn {
  return { wide: drawn(option, wideWidth), narrow: drawn(option, narrowWidth) };
}

/** The legend has the lines that it takes, and the plot begins below them. */
function drawn(option: EChartsOption, width: number): string {
  const top = legendLines(option, width) * lineHeight;
  const height = top + plotHeight + 80;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  const grid = { left: 28, right: width === wideWidth ? 80 : 46, top: top + 40, bottom: 40, containLabel: true };
  const labels = { axisLabel: { width: width / 3.5, overflow: 'break' } };
  chart.setOption({ animation: false, grid, ...option });
  chart.setOption({ xAxis: { ...labels, nameLocation: 'middle', nameGap: 36 }, yAxis: labels });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** A name takes a mark and about seven pixels a character. */
function legendLines({ legend, series }: EChartsOption, width: number): number {
  if (legend === undefined) return 0;
  let [lines, used] = [1, 0];
  for (const { name } of series as readonly { readonly name: string }[]) {
    const wide = 35 + itemGap + 7 * name.length;
    if (used > 0 && used + wide > width) [lines, used] = [lines + 1, 0];
    used += wide;
  }
  return lines;
}

function sideOf({ sides }: TrialResult, name: string): SideResult | undefined {
  return sides.find(({ side }) => side === name);
}

import type { Figures } from './figures.js';
import type { Phase, SoakResult } from './soak.js';
import { sumsOf } from './sums.js';

/** Of phases with hostile guests, or without: all of them together. */
interface Side {
  readonly median: number;
  readonly p99: number;
  readonly memoryMegabytes: number;
  readonly descriptors: number;
  readonly gapMilliseconds: number;
  /** a minute */
  readonly logBytes: number;
  readonly guestLogBytes: number;
  readonly diskBytes: number;
}

export interface Bound {
  readonly what: string;
  readonly value: number;
  /** 0: any */
  readonly most: number;
}

export interface Bounds {
  readonly p99: number;
  readonly gap: number;
  readonly memory: number;
  readonly log: number;
  readonly disk: number;
}

/** So many times slower may honest guests be served beside hostile ones; the two cores are theirs as well. */
const slowest = 10;
/** MB that a daemon may have grown: what its allocators keep of what was given back. */
const growth = 64;

function quantile(latencies: readonly number[], share: number): number {
  const sorted = [...latencies].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const p99Of = (latencies: readonly number[]): number => quantile(latencies, 0.99);
export const medianOf = (latencies: readonly number[]): number => quantile(latencies, 0.5);

function sideOf(phases: readonly Phase[]): Side {
  const latencies = phases.flatMap((phase) => phase.latencies);
  const figures = phases.map((phase) => phase.figures);
  const most = (of: (figures: Figures) => number): number => Math.max(...figures.map(of));
  const sum = (of: (figures: Figures) => number): number => figures.reduce((all, each) => all + of(each), 0);
  const minutes = sum(({ seconds }) => seconds) / 60;
  return {
    median: medianOf(latencies),
    p99: p99Of(latencies),
    memoryMegabytes: most(({ memoryMegabytes }) => memoryMegabytes),
    descriptors: most(({ descriptors }) => descriptors),
    gapMilliseconds: most(({ gapMilliseconds }) => gapMilliseconds),
    logBytes: sum(({ logBytes }) => logBytes) / minutes,
    guestLogBytes: sum(({ guestLogBytes }) => guestLogBytes) / minutes,
    diskBytes: sum(({ diskBytes }) => diskBytes) / minutes,
  };
}

/** Without and with hostile guests. */
export function sidesOf({ phases }: SoakResult): readonly [alone: Side, beside: Side] {
  return [
    sideOf(phases.filter(({ kinds }) => kinds.length === 0)),
    sideOf(phases.filter(({ kinds }) => kinds.length > 0)),
  ];
}

/** What hostile guests took beside its bound. The disk is written for operators as well: without them it is the base. */
export function boundsOf(result: SoakResult, { p99, gap, memory, log, disk }: Bounds): Bound[] {
  const [alone, beside] = sidesOf(result);
  const sums = sumsOf(result.hostile);
  const diskMore = Math.max(0, beside.diskBytes - alone.diskBytes);
  return [
    {
      what: 'times that the p99 of honest guests is longer beside hostile ones',
      value: beside.p99 / alone.p99,
      most: p99,
    },
    { what: 'times that their median is longer', value: beside.median / alone.median, most: slowest },
    {
      what: 'ms, longest turn of the event loop',
      value: Math.max(alone.gapMilliseconds, beside.gapMilliseconds),
      most: gap,
    },
    { what: 'MB of memory', value: Math.max(alone.memoryMegabytes, beside.memoryMegabytes), most: memory },
    { what: 'kB of log a minute', value: beside.logBytes / 1024, most: log },
    { what: 'MB of disk a minute, beyond that without hostile guests', value: diskMore / 2 ** 20, most: disk },
    {
      what: 'MB of memory more, of the sum of the limits',
      value: beside.memoryMegabytes - alone.memoryMegabytes,
      most: sums.memoryMegabytes,
    },
    { what: 'descriptors more, of the sum', value: beside.descriptors - alone.descriptors, most: sums.descriptors },
    {
      what: 'kB of log a minute by guests, of the sum',
      value: beside.guestLogBytes / 1024,
      most: sums.logBytesPerMinute / 1024,
    },
    { what: 'kB of disk a minute more, of the sum', value: diskMore / 1024, most: sums.diskBytesPerMinute / 1024 },
    {
      what: 'MB that the last daemon has grown beyond the first',
      value: (result.after.memory - result.before.memory) / 1024,
      most: growth,
    },
  ];
}

export interface Kind {
  readonly name: string;
  /** of the phases in which it attacked */
  readonly p99: number;
  readonly median: number;
  readonly gapMilliseconds: number;
  /** of the daemon, of each second */
  readonly cpu: number;
  readonly memoryMegabytes: number;
  /** MB a minute */
  readonly disk: number;
}

/** The kinds, those in whose phases honest guests were served worst first. */
export function kindsOf({ phases }: SoakResult): Kind[] {
  const names = [...new Set(phases.flatMap(({ kinds }) => kinds))];
  const rows = names.map((name) => {
    const own = phases.filter(({ kinds }) => kinds.includes(name));
    const { median, p99, gapMilliseconds, memoryMegabytes, diskBytes } = sideOf(own);
    const cpu = own.reduce((sum, { figures }) => sum + figures.cpuSeconds, 0);
    const seconds = own.reduce((sum, { figures }) => sum + figures.seconds, 0);
    return { name, p99, median, gapMilliseconds, cpu: cpu / seconds, memoryMegabytes, disk: diskBytes / 2 ** 20 };
  });
  return rows.sort((a, b) => b.p99 - a.p99);
}

import type { Finished } from './child.js';
import { busyWhile } from './cpu.js';
import { GuestLoad } from './guest-load.js';
import { type Bench, loadShare, type Sample, type Server, serverShare } from './trial.js';

/** A load of requests; bench_load --help says what each of these means. */
export interface RequestLoad {
  readonly mode: 'keepalive' | 'connect';
  readonly connections: number;
  readonly path: string;
  /** of the answer; any will do when left out, but that of /1.0 is known */
  readonly body?: string;
  /** requests per second of an open loop; a closed one when left out */
  readonly rate?: number;
}

/** What bench_load prints. */
interface LoadReport {
  readonly perSecond: number;
  readonly requests: number;
  readonly seconds: number;
  /** the part of a core that the load used */
  readonly busy: number;
  readonly errors: number;
  readonly mismatches: number;
  readonly answerBytes: number;
  readonly latencyMicroseconds: Readonly<Record<'p50' | 'p90' | 'p99' | 'p99.9' | 'max', number>>;
}

export const requestColumns = ['p50 us', 'p99 us', 'p99.9 us', 'max us', serverShare, loadShare, 'server us'] as const;

/** The same with what the server used meanwhile, and how the load ended. */
interface Asked extends LoadReport {
  readonly serverBusy: number;
  readonly code: number;
  readonly complaints: string;
}

/** Measures requests per second; every answer has to be the expected one. */
export function requests(load: RequestLoad): (bench: Bench, server: Server) => Promise<Sample> {
  return async (bench, server) => {
    const words = ['--path', load.path, '--mode', load.mode, '--connections', String(load.connections)];
    words.push('--seconds', String(bench.plan.seconds), '--warmup', String(bench.plan.warmup));
    if (load.path === '/1.0') words.push('--expect-body', bench.answer.body);
    else if (load.body !== undefined) words.push('--expect-body', load.body);
    if (load.rate !== undefined) words.push('--rate', String(load.rate));
    return sampleOf(await askAll(bench, server, words));
  };
}

/** Measures the latency in the middle of the same, in microseconds. */
export function latency(load: RequestLoad): (bench: Bench, server: Server) => Promise<Sample> {
  const measure = requests(load);
  return async (bench, server) => {
    const sample = await measure(bench, server);
    return { ...sample, value: sample.also['p50 us'] ?? 0 };
  };
}

/** Measures the latency that 99 % of the requests do not exceed, in microseconds. */
export function tailLatency(load: RequestLoad): (bench: Bench, server: Server) => Promise<Sample> {
  const measure = requests(load);
  return async (bench, server) => {
    const sample = await measure(bench, server);
    return { ...sample, value: sample.also['p99 us'] ?? 0 };
  };
}

/** Measures the CPU time that the server needs for a request, in microseconds. */
export function serverTime(load: RequestLoad): (bench: Bench, server: Server) => Promise<Sample> {
  const measure = requests(load);
  return async (bench, server) => {
    const sample = await measure(bench, server);
    return { ...sample, value: sample.also['server us'] ?? 0 };
  };
}

/** Lets a guest of its own ask; words: of bench_load. */
export async function askAll(bench: Bench, server: Server, words: readonly string[]): Promise<Asked> {
  const guest = await GuestLoad.prepare(bench, server, words);
  return askedBy(server.pid, () => guest.finish());
}

/** What a load has to say when it ends, and what the server under it has used. */
export async function askedBy(server: number, finish: () => Promise<Finished>): Promise<Asked> {
  const [{ code, output, complaints }, serverBusy] = await busyWhile(server, finish);
  if (output === '') throw new Error(`the load ended with ${code}: ${complaints}`);
  return { ...(JSON.parse(output) as LoadReport), serverBusy, code, complaints };
}

export function sampleOf(asked: Asked): Sample {
  return { value: asked.perSecond, also: seenIn(asked), faults: loadFaults(asked) };
}

export function loadFaults({ requests, mismatches, errors, code, complaints }: Asked): string[] {
  if (code === 0 && errors === 0 && mismatches === 0 && requests > 0) return [];
  return [`${requests} right answers, ${mismatches} wrong ones, ${errors} errors; ${complaints}`];
}

function seenIn({ latencyMicroseconds: latency, answerBytes, busy, serverBusy, perSecond }: Asked): Sample['also'] {
  return {
    'p50 us': latency.p50,
    'p90 us': latency.p90,
    'p99 us': latency.p99,
    'p99.9 us': latency['p99.9'],
    'max us': latency.max,
    'answer bytes': answerBytes,
    [loadShare]: busy * 100,
    [serverShare]: serverBusy * 100,
    'server us': (serverBusy * 1e6) / perSecond,
  };
}

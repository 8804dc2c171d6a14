import { busyWhile } from './cpu.js';
import { GuestLoad } from './guest-load.js';
import { type Bench, loadShare, type Sample, type Server, serverShare } from './trial.js';

/** A load of requests; bench_load --help says what each of these means. */
export interface RequestLoad {
  readonly mode: 'keepalive' | 'connect';
  readonly connections: number;
  readonly path: string;
  /** requests per second of an open loop; a closed one when left out */
  readonly rate?: number;
}

/** What bench_load prints. */
interface LoadReport {
  readonly perSecond: number;
  readonly requests: number;
  /** the part of a core that the load used */
  readonly busy: number;
  readonly errors: number;
  readonly mismatches: number;
  readonly answerBytes: number;
  readonly latencyMicroseconds: Readonly<Record<'p50' | 'p90' | 'p99' | 'p99.9' | 'max', number>>;
}

export const requestColumns = ['p50 us', 'p99 us', 'p99.9 us', 'max us', serverShare, loadShare, 'server us'] as const;

/** Measures requests per second; every answer has to be the expected one. */
export function requests(load: RequestLoad): (bench: Bench, server: Server) => Promise<Sample> {
  return async (bench, server) => {
    const words = ['--path', load.path, '--mode', load.mode, '--connections', String(load.connections)];
    words.push('--seconds', String(bench.plan.seconds), '--warmup', String(bench.plan.warmup));
    words.push('--expect-status', '200', '--expect-body', bench.answer.body);
    if (load.rate !== undefined) words.push('--rate', String(load.rate));
    const guest = await GuestLoad.prepare(bench, server, words);
    const [{ code, output, complaints }, busy] = await busyWhile(server.pid, () => guest.finish());
    if (output === '') throw new Error(`the load ended with ${code}: ${complaints}`);
    const { faults, value, also } = sampleOf(JSON.parse(output) as LoadReport, code, complaints);
    return { faults, value, also: { ...also, [serverShare]: busy * 100, 'server us': (busy * 1e6) / value } };
  };
}

function sampleOf(report: LoadReport, code: number, complaints: string): Sample {
  const { perSecond, errors, mismatches, answerBytes, latencyMicroseconds: latency } = report;
  const faulty = code !== 0 || errors > 0 || mismatches > 0 || report.requests === 0;
  return {
    value: perSecond,
    also: {
      'p50 us': latency.p50,
      'p90 us': latency.p90,
      'p99 us': latency.p99,
      'p99.9 us': latency['p99.9'],
      'max us': latency.max,
      'answer bytes': answerBytes,
      [loadShare]: report.busy * 100,
    },
    faults: faulty
      ? [`${report.requests} right answers, ${mismatches} wrong ones, ${errors} errors; ${complaints}`]
      : [],
  };
}

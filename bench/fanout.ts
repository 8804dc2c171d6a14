import { connectionRoom } from '../src/descriptors.js';
import { busyWhile } from './cpu.js';
import { GuestLoad } from './guest-load.js';
import { fewer, type HoldReport, lastLine } from './hold.js';
import { type Bench, type Sample, type Server, serverShare } from './trial.js';

const nanosecondsPerMillisecond = 1e6;

/**
 * Measures how long one event takes from the first of so many listeners of one guest to the last. What comes before
 * the first, such as the durable write, is shown beside it. patience: milliseconds that the last may take
 */
export function fanout(wanted: number, patience = 30_000): (bench: Bench, server: Server) => Promise<Sample> {
  return async (bench, server) => {
    const count = Math.min(wanted, connectionRoom());
    const words = ['--path', '/1.0/events', '--upgrade', '--hold', String(count)];
    const load = await GuestLoad.prepare(bench, server, words);
    load.go();
    await load.line(); // "held N"
    const announced = process.hrtime.bigint();
    const [, busy] = await busyWhile(server.pid, async () => {
      await server.announce();
      await Promise.race([load.line(), pause(patience)]); // "heard N"
    });
    const { code, output, complaints } = await load.finish();
    const report = JSON.parse(lastLine(output)) as HoldReport;
    const faulty = code !== 0 || report.held !== count || report.messages !== count;
    return {
      value: (report.lastMessageNanoseconds - report.firstMessageNanoseconds) / nanosecondsPerMillisecond,
      also: {
        listeners: report.held,
        'first ms': (report.firstMessageNanoseconds - Number(announced)) / nanosecondsPerMillisecond,
        'bytes each': Math.round(report.messageBytes / report.messages),
        [serverShare]: busy * 100,
      },
      faults: faulty
        ? [`${report.messages} events for ${report.held} of ${count} listeners, ${report.errors} errors; ${complaints}`]
        : [],
      notes: count < wanted ? [fewer(count, wanted)] : [],
    };
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}

import { descriptorRoom } from '../src/gate/file-descriptors.js';
import { busyWhile } from './cpu.js';
import { Crowd } from './crowd.js';
import { GuestLoad } from './guest-load.js';
import { fewer, type Holder, type HoldReport, lastLine } from './hold.js';
import { type Bench, type Sample, type Server, serverShare } from './trial.js';

const nanosecondsPerMillisecond = 1e6;

type Measure = (bench: Bench, server: Server) => Promise<Sample>;

/**
 * Measures how long one event takes from the first listener of one guest to the last. What comes before
 * the first, such as the durable write, is shown beside it. patience: milliseconds that the last may take
 */
export function fanout(wanted: number, patience = 30_000): Measure {
  return async (bench, server) => {
    const count = Math.min(wanted, descriptorRoom() - 1); // the guest's init takes one
    const words = ['--path', '/1.0/events', '--upgrade', '--hold', String(count)];
    const sample = await hear(server, await GuestLoad.prepare(bench, server, words), count, patience);
    return { ...sample, notes: count < wanted ? [fewer(count, wanted)] : [] };
  };
}

/** The same with one listener in each guest; all guests receive the event. */
export function fanoutToAll(wanted: number): Measure {
  return async (bench, server) => {
    const planned = Math.ceil(wanted * bench.plan.scale);
    const count = Math.min(planned, Math.floor(descriptorRoom() / descriptorsEach));
    const words = ['--socket', server.socket, '--path', '/1.0/events', '--hold'];
    const crowd = await Crowd.spawn(bench, count, words);
    await server.admit(crowd.pids);
    const sample = await hear(server, crowd, count, 30_000);
    return { ...sample, notes: count < planned ? [fewer(count, planned)] : [] };
  };
}

/** Of the daemon: the pidfd of an instance and its connection. The guests need as many. */
const descriptorsEach = 2.1;

/** Events before the one that counts. The server has not delivered any before. */
const rehearsals = 3;

async function hear(server: Server, holder: Holder, count: number, patience: number): Promise<Sample> {
  const announce = () => Promise.all([server.announce(), Promise.race([holder.line(), pause(patience)])]); // "heard N"
  holder.go();
  await holder.line(); // "held N"
  for (let rehearsal = 0; rehearsal < rehearsals; rehearsal++) {
    const [, heard] = await announce();
    if (heard === undefined) break; // which is not forgotten, and fails the trial
    await holder.again();
  }
  const announced = process.hrtime.bigint();
  const [, busy] = await busyWhile(server.pid, announce);
  const { code, output, complaints } = await holder.finish();
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
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}

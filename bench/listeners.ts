import { descriptorRoom } from '../src/gate/file-descriptors.js';
import { GuestLoad } from './guest-load.js';
import { fewer, type HoldReport, lastLine } from './hold.js';
import { growth, residentKilobytes } from './memory.js';
import type { Bench, Sample, Server } from './trial.js';

/**
 * Measures kilobytes per idle WebSocket listener: growth of the server's resident memory when this many are
 * there. The server is fresh, so what its heap grows by on the way counts too.
 */
export function listeners(wanted: number): (bench: Bench, server: Server) => Promise<Sample> {
  return async (bench, server) => {
    const count = Math.min(wanted, descriptorRoom() - 1); // the guest's init takes one
    const words = ['--path', '/1.0/events', '--upgrade', '--hold', String(count)];
    const load = await GuestLoad.prepare(bench, server, words);
    const before = residentKilobytes(server.pid);
    load.go();
    await load.line(); // "held N"
    const after = residentKilobytes(server.pid);
    const { code, output, complaints } = await load.finish();
    const { held, seconds, errors, mismatches } = JSON.parse(lastLine(output)) as HoldReport;
    const faulty = code !== 0 || held !== count;
    return {
      value: (after - before) / held,
      also: {
        listeners: held,
        ...growth(before, after),
        'connecting s': seconds,
      },
      faults: faulty
        ? [`${held} of ${count} listeners, ${mismatches} wrong answers, ${errors} errors; ${complaints}`]
        : [],
      notes: count < wanted ? [fewer(count, wanted)] : [],
    };
  };
}

/** The same as megabytes of resident memory in all. */
export function listenersInAll(wanted: number): (bench: Bench, server: Server) => Promise<Sample> {
  const measure = listeners(wanted);
  return async (bench, server) => {
    const sample = await measure(bench, server);
    return { ...sample, value: sample.also['after MB'] ?? 0 };
  };
}

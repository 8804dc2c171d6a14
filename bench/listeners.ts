import { readFileSync } from 'node:fs';
import { connectionRoom } from '../src/descriptors.js';
import { GuestLoad } from './guest-load.js';
import { fewer, type HoldReport, lastLine } from './hold.js';
import type { Bench, Sample, Server } from './trial.js';

const bytesPerKilobyte = 1024;

/**
 * Measures kilobytes per idle WebSocket listener: how much the server's resident memory has grown when so many are
 * there. The server is fresh, so what its heap grows by on the way counts too.
 */
export function listeners(wanted: number): (bench: Bench, server: Server) => Promise<Sample> {
  return async (bench, server) => {
    const count = Math.min(wanted, connectionRoom());
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
        'before MB': before / bytesPerKilobyte,
        'after MB': after / bytesPerKilobyte,
        'connecting s': seconds,
      },
      faults: faulty
        ? [`${held} of ${count} listeners, ${mismatches} wrong answers, ${errors} errors; ${complaints}`]
        : [],
      notes: count < wanted ? [fewer(count, wanted)] : [],
    };
  };
}

function residentKilobytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes);
}

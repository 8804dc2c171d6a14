import { GuestLoad } from './guest-load.js';
import type { Bench, Restartable, Sample } from './trial.js';

/** Measures the seconds from the start of the process to the first answer for a guest that ran before. */
export async function startup(bench: Bench, server: Restartable): Promise<Sample> {
  const guest = await GuestLoad.prepare(bench, server, ['--once', '--expect-body', bench.answer.body]);
  const began = await server.restart();
  const ready = performance.now();
  const { code, complaints } = await guest.finish();
  const answered = performance.now();
  return {
    value: (answered - began) / 1000,
    also: { 'ready s': (ready - began) / 1000 },
    faults: code === 0 ? [] : [`the first request failed: ${complaints}`],
  };
}

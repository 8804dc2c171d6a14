import { join } from 'node:path';
import { Child } from './child.js';
import type { Running, Sample, Side, Trial } from './trial.js';
import { tools } from './workplace.js';

/** Identifies the caller of a connection repeatedly. */
interface Identifier extends Running {
  identify(): Promise<Sample>;
}

/** The cost of identifying a caller, without accept or answer. count: how often each side does it */
export function identity(count = 20_000): Trial<Identifier> {
  const identifier = (name: string, ...words: string[]) => identifierOf(name, ['--count', String(count), ...words]);
  return {
    name: 'identity',
    about: 'whose is a connection: nothing but that; by path of the kernel, and with pid namespaces in between',
    unit: 'us',
    sides: [
      identifier('pidfd-ioctl'),
      identifier('the same again', '--known'),
      identifier('peer-pidfd', '--identity', 'peer-pidfd'),
      identifier('procfs', '--identity', 'procfs'),
      ...[1, 2, 4, 7].map((nested) => identifier(`depth ${nested + 1}`, '--nested', String(nested))),
    ],
    reference: 'pidfd-ioctl',
    columns: [],
    measure: (_bench, { identify }) => identify(),
  };
}

function identifierOf(name: string, words: readonly string[]): Side<Identifier> {
  return {
    name,
    start: async ({ pins, workplace }) => ({
      pid: process.pid,
      stop: async () => [],
      identify: async () => {
        const program = join(tools, 'bench_identify');
        const child = new Child(name, [...pins.server, program, '--socket', workplace.path('identify.sock'), ...words]);
        const { code, output, complaints } = await child.finish();
        return { value: Number(output) / 1000, also: {}, faults: code === 0 ? [] : [complaints] };
      },
    }),
  };
}

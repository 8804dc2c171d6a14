import { Crowd } from './crowd.js';
import { devlxd } from './daemon.js';
import { growth, residentKilobytes } from './memory.js';
import type { Bench, Restartable, Running, Sample, Side, Trial } from './trial.js';

/** A daemon that gets more instances. */
interface Growing extends Running {
  /** Gets this many and keeps them until it is stopped. */
  grow(count: number): Promise<void>;
}

/** Resident memory per instance before its guest has asked for anything. */
export function instanceMemory(wanted: number): Trial<Growing> {
  return {
    name: 'instance-memory',
    about: `resident memory for each of ${wanted.toLocaleString('en-US')} instances with two keys, running or not`,
    unit: 'KB/instance',
    sides: [growing('stored', store), growing('running', run)],
    reference: 'stored',
    freshServers: true,
    columns: ['instances', 'before MB', 'after MB'],
    measure: async ({ plan }, server) => {
      const count = Math.ceil(wanted * plan.scale);
      const before = residentKilobytes(server.pid);
      await server.grow(count);
      const after = residentKilobytes(server.pid);
      const also = { instances: count, ...growth(before, after) };
      return { value: (after - before) / count, also, faults: [] } satisfies Sample;
    },
  };
}

type Grow = (bench: Bench, daemon: Restartable, count: number) => Promise<Crowd | undefined>;

async function store(_bench: Bench, daemon: Restartable, count: number): Promise<undefined> {
  await daemon.store(count);
}

async function run(bench: Bench, daemon: Restartable, count: number): Promise<Crowd> {
  const crowd = await Crowd.spawn(bench, count);
  await daemon.admit(crowd.pids);
  return crowd;
}

function growing(name: string, grow: Grow): Side<Growing> {
  const config = { 'user.role': 'web', 'cloud-init.user-data': '#cloud-config\npackages: [nginx]\n' };
  return {
    name,
    start: async (bench) => {
      const daemon = await devlxd({ config }).start(bench);
      let crowd: Crowd | undefined;
      return {
        pid: daemon.pid,
        grow: async (count) => {
          crowd = await grow(bench, daemon, count);
        },
        stop: async () => {
          await crowd?.end();
          return daemon.stop();
        },
      };
    },
  };
}

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.js';
import { busyWhile } from './cpu.js';
import { devlxd } from './daemon.js';
import { script } from './peers.js';
import { askedBy, sampleOf } from './requests.js';
import {
  type Bench,
  type Goal,
  loadShare,
  type Running,
  type Sample,
  type Side,
  serverShare,
  type Trial,
} from './trial.js';
import { tools } from './workplace.js';

/** Something that makes durable writes for the time of a round. */
interface Writer extends Running {
  write(): Promise<Sample>;
}

/** So many operators change an instance each, over and over; against SQLite that commits the same rows itself. */
export function writes(name: string, operators: number, goal: Goal): Trial<Writer> {
  return {
    name,
    about: `durable changes of configuration, ${operators} at a time; sqlite: as many a commit`,
    unit: 'changes/s',
    sides: [daemonThatWrites(operators), sqlite(operators)],
    reference: 'sqlite',
    goal,
    columns: ['p50 us', 'p99 us', 'max us', serverShare, loadShare],
    measure: (_bench, writer) => writer.write(),
  };
}

function daemonThatWrites(operators: number): Side<Writer> {
  const side = devlxd({ stored: operators });
  return {
    name: side.name,
    start: async (bench) => {
      const daemon = await side.start(bench);
      const count = Math.ceil(operators * bench.plan.scale);
      return {
        pid: daemon.pid,
        stop: () => daemon.stop(),
        write: () => patch(bench, daemon.pid, daemon.control, count),
      };
    },
  };
}

/** As the operator, so outside of any guest. */
async function patch({ pins, plan }: Bench, pid: number, control: string, operators: number): Promise<Sample> {
  const load = new Child('the operators', [
    ...[...pins.load, join(tools, 'bench_load'), '--socket', control],
    ...['--path', '/1.0/instances/bench-%', '--patch', '{"config":{"user.n":"%"}}'],
    ...['--connections', String(operators), '--seconds', String(plan.seconds), '--warmup', String(plan.warmup)],
  ]);
  return sampleOf(await askedBy(pid, () => load.finish()));
}

/** A round of a process that writes the same rows, and has nothing else to do. */
function sqlite(rows: number): Side<Writer> {
  return {
    name: 'sqlite',
    start: async ({ workplace, pins, plan }) => {
      const file = workplace.path('sqlite.db');
      for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
      const words = [file, String(Math.ceil(rows * plan.scale)), String(plan.seconds)];
      const child = new Child('sqlite', [...pins.server, ...script('sqlite.js'), ...words]);
      const lines = child.lines();
      await child.next(lines); // "ready"
      return {
        pid: child.pid,
        stop: async () => ((await child.end()) === 0 ? [] : [`sqlite failed: ${child.complaints}`]),
        write: async () => {
          child.send('.');
          const [line, busy] = await busyWhile(child.pid, () => child.next(lines));
          return { value: Number(line), also: { [serverShare]: busy * 100 }, faults: [] };
        },
      };
    },
  };
}

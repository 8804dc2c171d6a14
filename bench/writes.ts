import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'undici';
import { Child } from './child.js';
import { busyWhile } from './cpu.js';
import { devlxd } from './daemon.js';
import { peer, script } from './peers.js';
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

/**
 * So many operators change an instance each, over and over; against SQLite that commits the same rows itself, and beside
 * what node:http and SQLite need for it without anything else.
 */
export function writes(operators: number, goal?: Goal): Trial<Writer> {
  return {
    name: `writes-${operators}`,
    about: `durable changes of configuration, ${operators} at a time; sqlite: as many a commit; http + sqlite: one thread, nothing else`,
    unit: 'changes/s',
    unpinned: true,
    sides: [daemonThatWrites(operators, patch), httpAndSqlite(operators), sqlite(operators)],
    reference: 'sqlite',
    ...(goal === undefined ? {} : { goal }),
    columns: ['p50 us', 'p99 us', 'max us', serverShare, loadShare],
    measure: (_bench, writer) => writer.write(),
  };
}

/** One operator that changes a batch of instances with each request. */
export function batches(changes: number, goal: Goal): Trial<Writer> {
  return {
    name: `writes-batch-${changes}`,
    about: `durable changes of configuration, in batches of ${changes}; sqlite: as many a commit`,
    unit: 'changes/s',
    unpinned: true,
    sides: [daemonThatWrites(changes, patchInBatches), sqlite(changes)],
    reference: 'sqlite',
    goal,
    columns: [serverShare],
    measure: (_bench, writer) => writer.write(),
  };
}

type Patch = (bench: Bench, pid: number, control: string, instances: number) => Promise<Sample>;

function daemonThatWrites(instances: number, change: Patch): Side<Writer> {
  const side = devlxd({ stored: instances });
  return {
    name: side.name,
    start: async (bench) => {
      const daemon = await side.start(bench);
      const count = Math.ceil(instances * bench.plan.scale);
      return {
        pid: daemon.pid,
        stop: () => daemon.stop(),
        write: () => change(bench, daemon.pid, daemon.control, count),
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

async function patchInBatches({ plan }: Bench, pid: number, control: string, instances: number): Promise<Sample> {
  const client = new Client('http://devlxd', { socketPath: control });
  await patchAll(client, instances, plan.warmup);
  const [value, busy] = await busyWhile(pid, () => patchAll(client, instances, plan.seconds));
  await client.close();
  return { value, also: { [serverShare]: busy * 100 }, faults: [] };
}

/** Changes per second over the given seconds. */
async function patchAll(client: Client, instances: number, seconds: number): Promise<number> {
  const began = performance.now();
  let changes = 0;
  while (performance.now() < began + seconds * 1000) {
    const stamp = String(performance.now());
    const lines = Array.from({ length: instances }, (_, index) =>
      JSON.stringify({
        method: 'PATCH',
        path: `/1.0/instances/bench-${index + 1}`,
        body: { config: { 'user.n': stamp } },
      }),
    );
    await patchBatch(client, lines.join('\n'));
    changes += instances;
  }
  return (changes / (performance.now() - began)) * 1000;
}

async function patchBatch(client: Client, body: string): Promise<void> {
  const headers = { 'content-type': 'application/x-ndjson' };
  const begun = await client.request({ method: 'POST', path: '/1.0/batch', headers, body });
  const { operation } = (await begun.body.json()) as { operation: string };
  const ended = await client.request({ method: 'GET', path: `${operation}/wait` });
  const { metadata } = (await ended.body.json()) as { metadata: { status: string; err: string } };
  if (metadata.status !== 'Success') throw new Error(`a batch failed: ${metadata.err}`);
}

/** The same requests to a process that answers them once their rows are written, and has nothing else to do. */
function httpAndSqlite(operators: number): Side<Writer> {
  return {
    name: 'http + sqlite',
    start: async (bench) => {
      const count = Math.ceil(operators * bench.plan.scale);
      const file = freshFile(bench, 'http-sqlite.db');
      const words = (socket: string) => [...script('http-sqlite.js'), socket, file, String(count)];
      const server = await peer('http-sqlite', words).start(bench);
      return {
        pid: server.pid,
        stop: () => server.stop(),
        write: () => patch(bench, server.pid, server.socket, count),
      };
    },
  };
}

/** A round of a process that writes the same rows, and has nothing else to do. */
function sqlite(rows: number): Side<Writer> {
  return {
    name: 'sqlite',
    start: async (bench) => {
      const { pins, plan } = bench;
      const file = freshFile(bench, 'sqlite.db');
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

function freshFile({ workplace }: Bench, name: string): string {
  const file = workplace.path(name);
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
  return file;
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'undici';
import { packageRoot } from '../src/package-root.js';
import { Child } from './child.js';
import { queuedWhile } from './cpu.js';
import { devlxd } from './daemon.js';
import { GuestLoad } from './guest-load.js';
import { residentKilobytes } from './memory.js';
import { askedBy, sampleOf } from './requests.js';
import type { Bench, Goal, Restartable, Running, Sample, Side, Trial } from './trial.js';

/** A daemon with what is measured of it. */
interface Measured extends Running {
  measure(): Promise<Sample>;
}

/** Something that an operator does, over and over; time: another one each time */
export type Work = (bench: Bench, daemon: Restartable, time: number) => Promise<unknown>;

export const works = {
  list: (_, daemon) => ask(daemon, 'GET', '/1.0/instances?recursion=1'),
  'list-full': (_, daemon) => ask(daemon, 'GET', '/1.0/instances?recursion=2'),
  profiles: (_, daemon) => ask(daemon, 'GET', '/1.0/profiles?recursion=1'),
  profile: (_, daemon, time) => patchDefault(daemon, { 'user.motd': String(time) }),
  'profile-cloud-init': (_, daemon, time) =>
    patchDefault(daemon, { 'cloud-init.vendor-data': `#cloud-config\n# ${time}\n` }),
  apply: (bench, daemon, time) => apply(bench, daemon, 10_000, String(time)),
} as const satisfies Record<string, Work>;

export const config = { 'user.role': 'web', 'cloud-init.user-data': '#cloud-config\npackages: [nginx]\n' };
const allSizes: readonly number[] = [100, 1_000, 10_000, 100_000];

/** A few connections that ask now and then: what they wait is what the loop is kept for. */
const guestWords = ['--path', '/1.0', '--connections', '4', '--rate', '100', '--warmup', '0'];

/** Of the time in which the daemon's event loop had something to do: how much of it the loop waited for a core. */
export const queuedShare = 'queued %';

/** The longest wait of a guest beside an operator, with this many instances stored. */
export function beside(work: keyof typeof works, stored: number, atMost: number): Trial<Measured> {
  return {
    name: `beside-${work}-${stored}`,
    about: `longest wait of a guest beside an operator's "${work}", over and over; ${figure(stored)} instances stored`,
    unit: 'ms',
    unpinned: true,
    sides: [
      measured('quiet', stored, (bench, daemon) => waits(bench, daemon)),
      measured(work, stored, (bench, daemon) => waits(bench, daemon, works[work])),
    ],
    reference: 'quiet',
    goal: { subject: work, of: 'value', atMost },
    columns: ['p99.9 us', 'max us', 'works', 'work ms', queuedShare],
    measure: (_bench, server) => server.measure(),
  };
}

/** What a list of all costs. */
export function lists(sizes = allSizes): Trial<Measured> {
  return bySize(sizes, 'list', 'to read a list of all, recursion 1', 's', async (bench, daemon) => ({
    value: await seconds(() => works.list(bench, daemon)),
  }));
}

/** From nothing to this many, by the command line. */
export function applies(sizes = allSizes): Trial<Measured> {
  const measure: BySize = async (bench, daemon, count) => ({
    value: count / (await seconds(() => apply(bench, daemon, count, 'first'))),
  });
  const trial = bySize(sizes, 'apply', '"devlxd apply" of this many, from nothing', 'instances/s', measure, 0);
  return {
    ...trial,
    unpinned: true,
    freshServers: true,
    goal: { subject: `of ${sizes.at(-1)}`, of: 'value', atLeast: 20_000 },
  };
}

/** From the start of the process to its first answer to an operator. */
export function starts(sizes = allSizes): Trial<Measured> {
  const goal: Goal = { subject: `of ${sizes.at(-1)}`, of: 'value', atMost: 3 };
  const measure: BySize = async (_bench, daemon) => {
    const began = await daemon.restart();
    await ask(daemon, 'GET', '/1.0');
    return { value: (performance.now() - began) / 1000 };
  };
  return { ...bySize(sizes, 'start', 'from the start of the process to its first answer', 's', measure), goal };
}

/** Resident memory for each instance, after a restart, beyond that of a daemon without any. */
export function storedMemory(sizes = allSizes): Trial<Measured> {
  const goal: Goal = { subject: `of ${sizes.at(-1)}`, of: 'value', atMost: 3 };
  const measure: BySize = async (bench, daemon, count) => {
    const empty = await devlxd().start(bench);
    const before = residentKilobytes(empty.pid);
    const faults = await empty.stop();
    await daemon.restart();
    return { value: Math.max(0, residentKilobytes(daemon.pid) - before) / count, faults };
  };
  return {
    ...bySize(sizes, 'stored-memory', 'resident memory for each stored instance', 'KB/instance', measure),
    goal,
  };
}

type BySize = (bench: Bench, daemon: Restartable, count: number) => Promise<Pick<Sample, 'value'> & Partial<Sample>>;

/** stored: as many as the trial is about, when left out */
function bySize(
  sizes: readonly number[],
  name: string,
  about: string,
  unit: string,
  measure: BySize,
  stored?: number,
): Trial<Measured> {
  const sides = sizes.map((size) =>
    measured(`of ${size}`, stored ?? size, async (bench, daemon) => {
      const sample = await measure(bench, daemon, Math.ceil(size * bench.plan.scale));
      return { also: {}, faults: [], ...sample };
    }),
  );
  const trial = { name, about, unit, sides, reference: `of ${sizes[0]}`, columns: [] };
  return { ...trial, measure: (_bench, server) => server.measure() };
}

function measured(
  name: string,
  stored: number,
  measure: (bench: Bench, daemon: Restartable) => Promise<Sample>,
): Side<Measured> {
  return {
    name,
    start: async (bench) => {
      const daemon = await devlxd({ config, stored }).start(bench);
      return {
        get pid() {
          return daemon.pid;
        },
        stop: () => daemon.stop(),
        measure: () => measure(bench, daemon),
      };
    },
  };
}

export async function waits(bench: Bench, daemon: Restartable, work?: Work): Promise<Sample> {
  const guest = await GuestLoad.prepare(bench, daemon, [...guestWords, '--seconds', String(bench.plan.seconds)]);
  let ended = false;
  const asked = queuedWhile(daemon.pid, () => askedBy(daemon.pid, () => guest.finish())).finally(() => {
    ended = true;
  });
  const took: number[] = [];
  while (work !== undefined && !ended) took.push((await seconds(() => work(bench, daemon, performance.now()))) * 1000);
  const [answers, queued] = await asked;
  const sample = sampleOf(answers);
  const worked = work === undefined ? {} : { works: took.length, 'work ms': Math.max(...took) };
  return {
    ...sample,
    value: (sample.also['max us'] ?? 0) / 1000,
    also: { ...sample.also, ...worked, [queuedShare]: queued * 100 },
  };
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

async function patchDefault(daemon: Restartable, changed: Readonly<Record<string, string>>): Promise<void> {
  await ask(daemon, 'PATCH', '/1.0/profiles/default', JSON.stringify({ config: changed }));
}

/** Reads the answer and keeps none of it. */
async function ask({ control }: Restartable, method: 'GET' | 'PATCH', path: string, body?: string): Promise<void> {
  const client = new Client('http://devlxd', { socketPath: control, bodyTimeout: 0, headersTimeout: 0 });
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const answer = await client.request({ method, path, headers, ...(body === undefined ? {} : { body }) });
  for await (const _ of answer.body);
  await client.close();
  if (answer.statusCode !== 200) throw new Error(`${method} ${path}: ${answer.statusCode}`);
}

/** names: what those of the instances begin with, before their numbers */
export async function apply(
  { workplace, pins, plan }: Bench,
  daemon: Restartable,
  count: number,
  value: string,
  names = 'bench',
): Promise<void> {
  const file = workplace.path('apply.ndjson');
  const lines = Array.from({ length: Math.ceil(count * plan.scale) }, (_, index) =>
    JSON.stringify({ name: `${names}-${index + 1}`, config: { ...config, 'user.value': value } }),
  );
  writeFileSync(file, lines.join('\n'));
  const words = ['--run-dir', daemon.runDir, 'apply', '--quiet', '-f', file];
  const child = new Child('devlxd apply', [...pins.load, join(packageRoot, 'bin/devlxd'), ...words]);
  const { code, complaints } = await child.finish();
  if (code !== 0) throw new Error(`apply ended with ${code}: ${complaints}`);
}

function figure(count: number): string {
  return count.toLocaleString('en-US');
}

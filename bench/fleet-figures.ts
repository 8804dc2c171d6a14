import { readFileSync } from 'node:fs';
import { FleetKeys } from '../src/fleet/fleet-keys.js';
import type { Etcd } from '../test/support/etcd.js';

// What the parts of npm run bench:fleet have in common.

export const keys = new FleetKeys('/devlxd/');
export const setting = { prefix: '/devlxd/', tls: undefined };
const ticksPerSecond = 100;

/** Of all members together. */
function used(etcd: Etcd): { cpu: number; megabytes: number[] } {
  let ticks = 0;
  const megabytes = etcd.pids.map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
    return residentMegabytes(pid);
  });
  return { cpu: ticks / ticksPerSecond, megabytes };
}

export function residentMegabytes(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Math.round(Number(kilobytes) / 1024);
}

/** Runs work, and prints how long it took, and what etcd used for it. */
export async function phase(etcd: Etcd, name: string, work: () => Promise<string>): Promise<void> {
  const before = used(etcd);
  const began = performance.now();
  const more = await work();
  const seconds = (performance.now() - began) / 1000;
  const after = used(etcd);
  const cpu = (after.cpu - before.cpu).toFixed(2);
  process.stdout.write(`| ${name} | ${seconds.toFixed(1)} s${more} | ${cpu} s | ${after.megabytes.join(', ')} MB |\n`);
}

export function quantile(values: readonly number[], part: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(0)} ms`;
}

/** A few at a time, as hosts that come back by chance. */
export async function each<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item, index: number) => Promise<unknown>,
) {
  let next = 0;
  const one = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as Item, index);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

export const instance = (profile: string, value: string) =>
  JSON.stringify({
    created_at: '2026-01-31T12:00:00Z',
    profiles: [profile],
    config: { 'user.value': value, 'user.filler': 'x'.repeat(180) },
  });

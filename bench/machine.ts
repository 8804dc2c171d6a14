import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/** Where the figures were measured. They mean little without it. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMegabytes: number;
  readonly kernel: string;
  readonly node: string;
  /** of the last minute, before the benchmark began */
  readonly loadAverage: number;
  readonly pinned: boolean;
}

/** Words to put before a command, so that it runs on a core of its own. */
export interface Pins {
  readonly server: readonly string[];
  readonly load: readonly string[];
}

/** The kernel places them. */
export const unpinned: Pins = { server: [], load: [] };

/** Server and load each get a core where there are two and a taskset. */
export function findPins(): Pins {
  const [load, server] = allowedCores();
  const hasTaskset = spawnSync('taskset', ['--version'], { stdio: 'ignore' }).error === undefined;
  if (!hasTaskset || load === undefined || server === undefined) return unpinned;
  return { server: ['taskset', '-c', String(server)], load: ['taskset', '-c', String(load)] };
}

export function describeMachine(pins: Pins): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryMegabytes: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
    pinned: pins.server.length > 0,
  };
}

/** "0-2,5" -> 0, 1, 2, 5 */
function allowedCores(): number[] {
  const [, list = ''] = /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return list.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return Number.isNaN(first) ? [] : Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

import { readFileSync } from 'node:fs';
import { Fault } from '../errors.js';
import type { Run } from '../model/instance.js';
import type { Init } from './hook-calls.js';

/** How long an init may take to appear after its supervisor has been started. */
const patienceMilliseconds = 3000;
const stepMilliseconds = 20;

/**
 * The pid of an init.
 * @throws Fault cannot-register, when there is none
 */
export async function findInit(init: Init): Promise<number> {
  if ('pid' in init) return init.pid;
  const end = performance.now() + patienceMilliseconds;
  for (;;) {
    const pid = 'machine' in init ? leaderOf(init.machine) : initBelow(init.supervisor);
    if (pid !== undefined) return pid;
    if (performance.now() > end) throw new Fault('cannot-register', missing(init));
    await new Promise((resolve) => setTimeout(resolve, stepMilliseconds));
  }
}

/** Is it missing, a zombie, or another process that has its pid? That it has ended, only the gate's pidfd proves. */
export function seemsGone({ pid, startTicks }: Run): boolean {
  const stat = textOf(`/proc/${pid}/stat`);
  // Fields 3 and 22 of proc(5); the second may hold anything.
  const [state = '', ...others] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ['', 'Z', 'X'].includes(state) || Number(others[22 - 4]) !== startTicks;
}

function missing(init: Exclude<Init, { pid: number }>): string {
  if ('supervisor' in init) return `No process below ${init.supervisor} is the init of a container.`;
  return `systemd-machined knows no machine "${init.machine}"; give the pid of its systemd-nspawn with --supervisor.`;
}

/** As "machinectl show -p Leader" says, which asks the same file (systemd, src/machine/machine.c). */
function leaderOf(machine: string): number | undefined {
  if (!/^[\w.-]+$/.test(machine)) return undefined;
  return numberIn(textOf(`/run/systemd/machines/${machine}`), /^LEADER=(\d+)$/m);
}

/** The child of a process that is pid 1 of a namespace of its own. */
function initBelow(supervisor: number): number | undefined {
  const children = textOf(`/proc/${supervisor}/task/${supervisor}/children`).split(' ').filter(Boolean).map(Number);
  return children.find((pid) => numberIn(textOf(`/proc/${pid}/status`), /^NSpid:\t\d+\t(?:\d+\t)*(\d+)$/m) === 1);
}

function numberIn(text: string, pattern: RegExp): number | undefined {
  const [, digits] = pattern.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** Nothing for a file that is not there: the process has ended. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

import { readdirSync, readFileSync } from 'node:fs';

/** For the store, the log, the event loop, operators, and the next few instances. */
const reserve = 512;

/** Open files that this process may have. Node has raised it to the hard limit when it started. */
export function descriptorLimit(): number {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return Number(soft);
}

/** Connections that fit in beside what the daemon needs itself. */
export function connectionRoom(): number {
  return Math.max(descriptorLimit() - reserve, 16);
}

/** -1: when there is none left to look with. */
export function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length - 1; // without the one that looks
  } catch {
    return -1;
  }
}

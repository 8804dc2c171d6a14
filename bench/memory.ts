import { readFileSync } from 'node:fs';

const kilobytesPerMegabyte = 1024;

/** Resident memory of a process, in kB. */
export function residentKilobytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes);
}

/** What a trial shows of a process that has grown; kilobytes of resident memory. */
export function growth(before: number, after: number): Record<string, number> {
  return { 'before MB': before / kilobytesPerMegabyte, 'after MB': after / kilobytesPerMegabyte };
}

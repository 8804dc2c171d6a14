import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { duplicate } from './unix-socket.js';

/** For the store, the log, operators, images, and the next few instances: an eighth of all, within these. */
const [leastReserve, mostReserve] = [64, 512];

/** Open files that this process may have. Node has raised it to the hard limit when it started. */
export function descriptorLimit(): number {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return Number(soft);
}

/** Entries of the kernel's table of descriptors, of 8 bytes each. */
const largestTable = 131_072;

/**
 * Makes the kernel's table of this process's descriptors as large as it may become, up to a megabyte. Otherwise it
 * doubles while guests connect, and each time the system call that needs it waits until every processor has done with
 * the old one (`expand_fdtable` in Linux's fs/file.c): no guest is answered meanwhile.
 */
export function growDescriptorTable(): void {
  const any = openSync('/dev/null', 'r');
  try {
    closeSync(duplicate(any, Math.min(descriptorLimit(), largestTable) - 1));
  } catch {
    // It grows later.
  } finally {
    closeSync(any);
  }
}

/** Guests' connections and running instances that fit in beside what the daemon needs itself. */
export function descriptorRoom(): number {
  const limit = descriptorLimit();
  const reserve = Math.min(Math.max(Math.floor(limit / 8), leastReserve), mostReserve);
  return Math.max(limit - reserve, 16);
}

/** -1: when there is none left to look with. */
export function openDescriptors(): number {
  try {
    // Their number since Linux 6.2, without a look at each of them; 0 before.
    const { size } = statSync('/proc/self/fd');
    if (size > 0) return size;
    return readdirSync('/proc/self/fd').length - 1; // without the one that looks
  } catch {
    return -1;
  }
}

/** What loading a few modules, or reading a few files, takes at a time. */
const spareDescriptors = 16;

/** Spare descriptors: with none left, an operator can still ask what is wrong. */
export class SpareDescriptors {
  #kept: number[] = [];
  #borrowers = 0;

  constructor() {
    this.#keep();
  }

  /** Runs work with these free. */
  async lend<Result>(work: () => Promise<Result>): Promise<Result> {
    this.close();
    this.#borrowers++;
    try {
      return await work();
    } finally {
      if (--this.#borrowers === 0) this.#keep();
    }
  }

  close(): void {
    for (const fd of this.#kept.splice(0)) closeSync(fd);
  }

  /** As many as there are: guests may have been faster. */
  #keep(): void {
    try {
      while (this.#kept.length < spareDescriptors) this.#kept.push(openSync('/dev/null', 'r'));
    } catch {
      // the next time
    }
  }
}

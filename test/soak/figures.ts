import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { TestDaemon } from '../support/daemon.js';
import { guestLines } from './sums.js';

/** What a phase took of the host: at most, or in all. */
export interface Figures {
  readonly seconds: number;
  readonly memoryMegabytes: number;
  readonly descriptors: number;
  /** longest turn of the event loop */
  readonly gapMilliseconds: number;
  readonly cpuSeconds: number;
  readonly logBytes: number;
  /** of the log, what guests and users of the host have caused */
  readonly guestLogBytes: number;
  readonly diskBytes: number;
}

const lookMilliseconds = 100;
/** Of the kernel's clock for processes, whatever its own is. */
const ticksPerSecond = 100;

/** Processor time and bytes written, of one process so far. */
interface Used {
  readonly cpuSeconds: number;
  readonly diskBytes: number;
}

/** Looks at a daemon from outside while it runs, also when it is another process each time. */
export class Gauge {
  readonly #daemon: TestDaemon;
  /** by pid */
  readonly #used = new Map<number, Used>();
  #began = performance.now();
  #logged = 0;
  #memory = 0;
  #descriptors = 0;
  #gap = 0;
  #gapBefore = 0;
  #usedBefore = { cpuSeconds: 0, diskBytes: 0 };

  constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
  }

  async run(isOver: () => boolean): Promise<void> {
    for (; !isOver(); await pause(lookMilliseconds)) this.#look(this.#daemon.pid);
  }

  /** A phase begins: what has been until now is not its own. */
  async begin(): Promise<void> {
    this.#gapBefore = await this.#longestTurn();
    this.#look(this.#daemon.pid);
    this.#began = performance.now();
    this.#logged = this.#daemon.log.length;
    this.#usedBefore = this.#usedInAll();
    this.#memory = this.#descriptors = this.#gap = 0;
  }

  /** Before the process ends, and at the end of a phase. */
  async readGap(): Promise<void> {
    const seconds = await this.#longestTurn();
    if (seconds > this.#gapBefore) this.#gap = Math.max(this.#gap, seconds);
    this.#gapBefore = 0; // the next process has none yet
  }

  /** Of the last minute, in seconds. */
  async #longestTurn(): Promise<number> {
    return await this.#daemon.metric('devlxd_event_loop_delay_seconds');
  }

  figures(): Figures {
    this.#look(this.#daemon.pid);
    const lines = this.#daemon.log.slice(this.#logged);
    const used = this.#usedInAll();
    return {
      seconds: (performance.now() - this.#began) / 1000,
      memoryMegabytes: Math.round(this.#memory / 1024),
      descriptors: this.#descriptors,
      gapMilliseconds: Math.round(this.#gap * 1000),
      cpuSeconds: used.cpuSeconds - this.#usedBefore.cpuSeconds,
      logBytes: bytesOf(lines),
      guestLogBytes: bytesOf(lines.filter(({ msg }) => guestLines.has(msg))),
      diskBytes: used.diskBytes - this.#usedBefore.diskBytes,
    };
  }

  #usedInAll(): Used {
    const sum = { cpuSeconds: 0, diskBytes: 0 };
    for (const { cpuSeconds, diskBytes } of this.#used.values()) {
      sum.cpuSeconds += cpuSeconds;
      sum.diskBytes += diskBytes;
    }
    return sum;
  }

  #look(pid: number): void {
    try {
      const [, memory = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      const [, disk = '0'] = /^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8')) ?? [];
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [user = 0, system = 0] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14).map(Number);
      this.#used.set(pid, { cpuSeconds: (user + system) / ticksPerSecond, diskBytes: Number(disk) });
      this.#memory = Math.max(this.#memory, Number(memory));
      this.#descriptors = Math.max(this.#descriptors, readdirSync(`/proc/${pid}/fd`).length);
    } catch {
      // it has ended
    }
  }
}

interface Line {
  readonly msg: string;
}

function bytesOf(lines: readonly Line[]): number {
  return lines.reduce((sum, line) => sum + JSON.stringify(line).length + 1, 0);
}

/** The messages that take most of the log. The longest sum first. */
export function loudest(lines: readonly Line[]): [message: string, bytes: number][] {
  const bytes = new Map<string, number>();
  for (const line of lines) bytes.set(line.msg, (bytes.get(line.msg) ?? 0) + bytesOf([line]));
  return [...bytes].sort(([, a], [, b]) => b - a).slice(0, 5);
}

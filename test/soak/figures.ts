import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { TestDaemon } from '../support/daemon.js';
import { guestLines } from './sums.js';

/** What a part took of the host at most. */
export interface Figures {
  readonly memoryMegabytes: number;
  readonly logBytesPerMinute: number;
  readonly diskBytesPerMinute: number;
  /** longest gap of the event loop */
  readonly gapMilliseconds: number;
  readonly descriptors: number;
  /** of the log, what guests and users of the host have caused */
  readonly guestLogBytesPerMinute: number;
  /** the first lines about what the daemon did not expect */
  readonly surprises: readonly string[];
  /** the lines that take most of the log, in bytes a minute */
  readonly loudest: Readonly<Record<string, number>>;
}

const lookMilliseconds = 250;
/** The daemon measures its gaps once a second, and remembers them for a minute. */
const looksPerScrape = 8;

/** Looks at a daemon from outside while it runs, also when it is another process each time. */
export class Gauge {
  readonly #daemon: TestDaemon;
  readonly #began = performance.now();
  readonly #loggedBefore: number;
  /** by pid */
  readonly #disk = new Map<number, number>();
  #memory = 0;
  #descriptors = 0;
  #gap = 0;

  constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
    this.#loggedBefore = daemon.log.length;
  }

  async run(isOver: () => boolean): Promise<void> {
    for (let n = 0; !isOver(); n++) {
      this.#look(this.#daemon.pid);
      if (n % looksPerScrape === 0) await this.#scrape().catch(() => undefined); // it may be ending
      await pause(lookMilliseconds);
    }
  }

  figures(): Figures {
    const minutes = (performance.now() - this.#began) / 60_000;
    const lines = this.#daemon.log.slice(this.#loggedBefore);
    const bytes = bytesByMessage(lines);
    const log = bytes.reduce((sum, [, size]) => sum + size, 0);
    const ofGuests = bytes.filter(([message]) => guestLines.has(message)).reduce((sum, [, size]) => sum + size, 0);
    const disk = [...this.#disk.values()].reduce((sum, bytes) => sum + bytes, 0);
    return {
      memoryMegabytes: Math.round(this.#memory / 1024),
      logBytesPerMinute: Math.round(log / minutes),
      diskBytesPerMinute: Math.round(disk / minutes),
      gapMilliseconds: Math.round(this.#gap * 1000),
      descriptors: this.#descriptors,
      guestLogBytesPerMinute: Math.round(ofGuests / minutes),
      surprises: lines
        .filter(({ level }) => Number(level) >= 50)
        .slice(0, 3)
        .map((line) => JSON.stringify(line)),
      loudest: Object.fromEntries(bytes.slice(0, 5).map(([message, size]) => [message, Math.round(size / minutes)])),
    };
  }

  #look(pid: number): void {
    try {
      const [, memory = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      const [, disk = '0'] = /^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8')) ?? [];
      this.#memory = Math.max(this.#memory, Number(memory));
      this.#disk.set(pid, Number(disk));
      this.#descriptors = Math.max(this.#descriptors, readdirSync(`/proc/${pid}/fd`).length);
    } catch {
      // it has ended
    }
  }

  async #scrape(): Promise<void> {
    this.#gap = Math.max(this.#gap, await this.#daemon.metric('devlxd_event_loop_delay_seconds'));
  }
}

/** The longest sum first. */
function bytesByMessage(lines: readonly { readonly msg: string }[]): [message: string, bytes: number][] {
  const bytes = new Map<string, number>();
  for (const line of lines) bytes.set(line.msg, (bytes.get(line.msg) ?? 0) + JSON.stringify(line).length + 1);
  return [...bytes].sort(([, a], [, b]) => b - a);
}

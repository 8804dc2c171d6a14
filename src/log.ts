import { EventEmitter } from 'node:events';
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import type { Logger } from 'pino';
import { visible } from './text/width.js';

export type Log = Logger;

/** Every line written to the log, as JSON, for clients that follow it over the API. */
export class LogLines extends EventEmitter<{ line: [string] }> {
  /** lines that standard error did not take, since the start */
  lost = 0;
}

/** JSON lines for programs; readable lines for people. Both go to standard error and are written at once. */
export async function createLog(level: string, format: string, lines = new LogLines()): Promise<Log> {
  // Of what these packages export, the bundle of the program knows only the default. Most commands do without a log.
  const { default: pino } = await import('pino');
  const readable = format === 'pretty' || (format === 'auto' && process.stderr.isTTY === true);
  const streamWrite = (line: string): string => {
    lines.emit('line', line);
    return line;
  };
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, hooks: { streamWrite } };
  if (!readable) return pino(options, new LogOutput(lines, (line) => line));
  const { default: pinoPretty } = await import('pino-pretty');
  const pretty = pinoPretty.prettyFactory({ colorize: process.stderr.isTTY === true });
  return pino(options, new LogOutput(lines, (line) => pretty(JSON.parse(line, visibleValue))));
}

/** What guests and operators have sent must not move the cursor or hide anything. */
function visibleValue(key: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return key === 'stack' ? value.split('\n').map(visible).join('\n') : visible(value);
}

const standardError = 2;
/** Bytes of lines that wait for a slow reader of standard error. */
const mostWaiting = 256 * 1024;
const retryMilliseconds = 100;

/**
 * Writes lines to standard error, which may be a file on a full disk, a pipe whose reader has gone, or one whose reader
 * does not read. None of that ends the daemon or keeps it waiting: a line that cannot be written is lost and counted,
 * and how many were lost is written when lines are taken again.
 */
class LogOutput {
  readonly #lines: LogLines;
  readonly #format: (line: string) => string;
  readonly #fd = withoutWaiting(standardError);
  #waiting = Buffer.alloc(0);
  #timer: NodeJS.Timeout | undefined;
  #lost = 0;
  /** a part of a line was written, and the rest is lost */
  #torn = false;

  constructor(lines: LogLines, format: (line: string) => string) {
    this.#lines = lines;
    this.#format = format;
    process.on('exit', () => this.#flush());
  }

  /** line: of JSON, with its end */
  write(line: string): void {
    const bytes = Buffer.from(this.#format(line));
    if (this.#waiting.length + bytes.length > mostWaiting) {
      this.#lose(1);
      return;
    }
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    if (this.#timer === undefined) this.#flush();
  }

  #flush(): void {
    this.#timer = undefined;
    try {
      this.#put();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') this.#later();
      else this.#drop();
      return;
    }
    if (this.#lost > 0) this.#tell();
  }

  /** @throws what the kernel says; the rest waits */
  #put(): void {
    if (this.#torn) writeSync(this.#fd, '\n');
    this.#torn = false;
    while (this.#waiting.length > 0) this.#waiting = this.#waiting.subarray(this.#write());
  }

  #write(): number {
    const written = writeSync(this.#fd, this.#waiting);
    this.#torn = this.#waiting[written - 1] !== newline;
    return written;
  }

  #later(): void {
    this.#torn = false;
    this.#timer = setTimeout(() => this.#flush(), retryMilliseconds).unref();
  }

  #drop(): void {
    this.#lose(this.#waiting.filter((byte) => byte === newline).length);
    this.#waiting = Buffer.alloc(0);
  }

  #lose(count: number): void {
    this.#lines.lost += count;
    this.#lost += count;
  }

  #tell(): void {
    const line = { level: warning, time: new Date().toISOString(), times: this.#lost };
    this.#lost = 0;
    this.write(`${JSON.stringify({ ...line, msg: 'lines of the log were lost' })}\n`);
  }
}

const newline = 0x0a;
/** pino's number for it */
const warning = 40;

/** A pipe is opened again, because whether it waits for its reader is a matter of all that have it open. */
function withoutWaiting(fd: number): number {
  try {
    if (fstatSync(fd).isFIFO()) return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // closed, or a pipe without a reader: writing will tell
  }
  return fd;
}

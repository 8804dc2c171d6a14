import type { Log } from '../log.js';

/** Of one message in a minute; a line is never longer than its fields may be. */
const mostLines = 10;
const minuteMilliseconds = 60_000;
/** Characters of what a guest has sent, of an error's message, and of its stack. */
const mostCharacters = 256;
const mostOfStack = 2048;

type Fields = Readonly<Record<string, unknown>>;

interface Written {
  lines: number;
  leftOut: number;
}

/**
 * The lines that guests and clients of the control socket cause at the levels that are on by default. They are bounded in number and in length, whatever
 * guests do: ten a minute of each message, each below 4 KiB, and one that says how many were left out.
 */
export class GuestLog {
  readonly #log: Log;
  readonly #written = new Map<string, Written>();

  constructor(log: Log) {
    this.#log = log;
  }

  warn(fields: Fields, message: string): void {
    if (this.#admit(message)) this.#log.warn(cutFields(fields), message);
  }

  error(fields: Fields, message: string): void {
    if (this.#admit(message)) this.#log.error(cutFields(fields), message);
  }

  #admit(message: string): boolean {
    const written = this.#written.get(message) ?? this.#begin(message);
    if (written.lines < mostLines) written.lines++;
    else written.leftOut++;
    return written.leftOut === 0;
  }

  #begin(message: string): Written {
    const written = { lines: 0, leftOut: 0 };
    this.#written.set(message, written);
    setTimeout(() => this.#end(message, written), minuteMilliseconds).unref();
    return written;
  }

  #end(message: string, { leftOut }: Written): void {
    this.#written.delete(message);
    if (leftOut > 0) this.#log.warn({ line: message, times: leftOut }, 'more such lines were left out');
  }
}

/** What a guest has sent, as it may stand in a line. */
export function cut(text: string, most = mostCharacters): string {
  return text.length <= most ? text : `${text.slice(0, most)}... (${text.length} characters)`;
}

function cutFields(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, cutField(value)]));
}

function cutField(value: unknown): unknown {
  if (typeof value === 'string') return cut(value);
  if (!(value instanceof Error)) return value;
  const { name, message, stack = '' } = value;
  return { type: name, message: cut(message), stack: cut(stack.replace(message, ''), mostOfStack) };
}

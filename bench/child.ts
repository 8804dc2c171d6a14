import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** How much of what a process complains about is kept. */
const keptCharacters = 2000;

/** How long a process may take to end in order. */
const patienceMilliseconds = 10_000;

/** How a process has ended, and what it said. */
export interface Finished {
  readonly code: number;
  readonly output: string;
  readonly complaints: string;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A process of the benchmark, by what it says and how it ends. It does not outlive this one. */
export class Child {
  /** what faults call it */
  readonly name: string;
  /** its exit code; 127: it could not be started, 128: a signal ended it */
  readonly exited: Promise<number>;
  readonly #process: ChildProcess;
  #output = '';
  #complaints = '';

  /** pipes: how many it has beyond its standard error */
  constructor(name: string, command: readonly string[], pipes = 0) {
    this.name = name;
    const [program = '', ...words] = command;
    const stdio = Array.from({ length: 3 + pipes }, (): 'pipe' => 'pipe');
    const child = spawn(program, words, { stdio });
    this.#process = child;
    running.add(child);
    this.exited = new Promise<number>((resolve) => {
      child.on('error', (error) => {
        this.#complaints += error.message;
        resolve(127);
      });
      child.on('close', (code) => resolve(code ?? 128));
    }).finally(() => running.delete(child));
    for (const stream of child.stdio) stream?.on('error', () => undefined); // it has ended: exited says so
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-keptCharacters);
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** What it wrote to standard output so far. */
  get output(): string {
    return this.#output;
  }

  /** What it wrote to standard error, the last of it. */
  get complaints(): string {
    return this.#complaints.trim();
  }

  /** The lines of one of its outputs, from now on. */
  lines(fd = 1): AsyncIterator<string> {
    return createInterface({ input: this.#process.stdio[fd] as Readable })[Symbol.asyncIterator]();
  }

  /** The next of these lines; throws with what the process complained about when it ends instead. */
  async next(lines: AsyncIterator<string>): Promise<string> {
    const { value, done } = await lines.next();
    if (!done) return value;
    throw new Error(`${this.name} ended with ${await this.exited}: ${this.complaints}`);
  }

  /** Ends what it reads on one of its inputs, after a byte. */
  release(fd: number): void {
    const input = this.#process.stdio[fd] as Writable;
    if (!input.writableEnded) input.end('.');
  }

  /** Writes to its standard input. */
  send(text: string): void {
    this.#process.stdin?.write(text);
  }

  endInput(): void {
    this.#process.stdin?.end();
  }

  /** Waits until it has ended by itself, of which the end of its input is part. */
  async finish(): Promise<Finished> {
    this.endInput();
    const code = await this.exited;
    return { code, output: this.output, complaints: this.complaints };
  }

  /** Ends it: its standard input, or with a signal; and by force when it does not obey. */
  async end(signal?: NodeJS.Signals): Promise<number> {
    const force = setTimeout(() => this.#process.kill('SIGKILL'), patienceMilliseconds);
    if (signal === undefined) this.endInput();
    else this.#process.kill(signal);
    const code = await this.exited;
    clearTimeout(force);
    return code;
  }
}

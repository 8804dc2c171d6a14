import { join } from 'node:path';
import { Child, type Finished } from './child.js';
import type { Bench, Server } from './trial.js';
import { tools } from './workplace.js';

/** bench_load in a guest: root of user and pid namespaces of its own, as in a container. */
export class GuestLoad {
  readonly #child: Child;
  readonly #output: AsyncIterator<string>;

  private constructor(child: Child) {
    this.#child = child;
    this.#output = child.lines();
  }

  /** The guest is there and known to the server; its load waits for go(), or for finish(). */
  static async prepare(
    { pins, workplace }: Pick<Bench, 'pins' | 'workplace'>,
    server: Server,
    words: readonly string[],
  ): Promise<GuestLoad> {
    const guest = [join(tools, 'guests'), 'run', '--pid-fd', '3', '--wait-fd', '4', '--'];
    const command = [...pins.load, ...(server.enter ?? guest), workplace.load, '--socket', server.socket, ...words];
    const child = new Child('the load', command, 2);
    const load = new GuestLoad(child);
    if (server.enter !== undefined) return load;
    try {
      await server.admit([Number(await child.next(child.lines(3)))]);
    } catch (error) {
      await child.end('SIGTERM');
      throw error;
    }
    return load;
  }

  go(): void {
    this.#child.release(4);
  }

  /** Forgets the messages that have come, when it holds. */
  again(): Promise<unknown> {
    this.#child.send('.');
    return this.line(); // "forgot"
  }

  /** The next line that it prints. */
  line(): Promise<string> {
    return this.#child.next(this.#output);
  }

  /** Ends it in the middle of what it does. */
  async end(): Promise<void> {
    await this.#child.end('SIGTERM');
  }

  /** Lets it begin, if it has not, and ends its standard input; resolves when it has ended. */
  async finish(): Promise<Finished> {
    this.go();
    return this.#child.finish();
  }
}

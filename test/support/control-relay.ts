import { mkdirSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { socketPaths } from '../../src/config/paths.js';

/** What is done when something comes for the relay to pass on: how much of it is passed on before all ends. */
type Cut = (nth: number) => number | undefined;

/** A control socket before that of a daemon, whose connections end where a test says. */
export class ControlRelay {
  readonly runDir: string;
  readonly #daemonRunDir: string;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #passed = 0;
  #cut: Cut = () => undefined;

  /** runDir: one that is made */
  constructor(runDir: string, daemonRunDir: string) {
    this.runDir = runDir;
    this.#daemonRunDir = daemonRunDir;
    this.#server = createServer((client) => this.#relay(client));
  }

  async listen(): Promise<void> {
    const path = socketPaths(this.runDir).control;
    mkdirSync(dirname(path), { recursive: true });
    await new Promise<void>((resolve) => this.#server.listen(path, resolve));
  }

  /** cut: asked for each piece that comes from either side; a part of one (0 to 1): all ends when that is passed on */
  begin(cut: Cut = () => undefined): void {
    this.#passed = 0;
    this.#cut = cut;
  }

  /** Pieces that were passed on since then. */
  get passed(): number {
    return this.#passed;
  }

  /** Ends what is open, and listens no longer. */
  async close(): Promise<void> {
    this.#endAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #relay(client: Socket): void {
    const daemon = connect(socketPaths(this.#daemonRunDir).control);
    for (const [from, to] of [
      [client, daemon],
      [daemon, client],
    ] as const) {
      this.#open.add(from);
      from.on('data', (piece) => this.#pass(piece, to));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#open.delete(from);
        to.end(); // what is on its way arrives
      });
    }
  }

  #pass(piece: Buffer, to: Socket): void {
    const part = this.#cut(++this.#passed);
    if (part === undefined) {
      to.write(piece);
      return;
    }
    to.write(piece.subarray(0, Math.floor(part * piece.length)), () => this.#endAll());
  }

  #endAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

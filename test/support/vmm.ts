import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** What a VMM with vsock on Unix sockets does: each connection of its machine becomes one to PATH_PORT. */
const relay = `
import { connect, createServer } from 'node:net';
const [machine, target] = process.argv.slice(1);
createServer((inside) => {
  const outside = connect(target);
  for (const [from, to] of [[inside, outside], [outside, inside]]) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroySoon());
  }
}).listen(machine, () => console.log('ready'));
`;

/** A process of the host that connects for a virtual machine, as Firecracker and vhost-device-vsock do. */
export class Vmm {
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
  }

  /** socket: the guests' socket, to which PATH_PORT is a symbolic link; more: words of its command line */
  static spawn(socket: string, more: readonly string[] = []): Vmm {
    const directory = mkdtempSync(join(tmpdir(), 'devlxd-vmm-'));
    symlinkSync(socket, join(directory, 'v_1234'));
    const words = ['--input-type=module', '-e', relay, join(directory, 'machine'), join(directory, 'v_1234'), ...more];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    return new Vmm(child, directory);
  }

  static async start(socket: string, more: readonly string[] = []): Promise<Vmm> {
    const started = Vmm.spawn(socket, more);
    await started.ready();
    return started;
  }

  async ready(): Promise<void> {
    await once(this.#child.stdout as Readable, 'data');
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** A connection from inside the machine. */
  connect(): Socket {
    return connect(join(this.#directory, 'machine'));
  }

  /** SIGKILL. */
  async end(): Promise<void> {
    const exited = this.#child.exitCode === null && this.#child.signalCode === null && once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

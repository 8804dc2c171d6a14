import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { packageRoot } from '../../src/package-root.js';
import { TestDaemon } from './daemon.js';

/** What the service manager tells: the daemon's pid, a notification, its exit. */
interface Told {
  readonly pid?: number;
  readonly notify?: Readonly<Record<string, string>>;
  readonly descriptors?: number;
  readonly exit?: number;
  readonly kept?: number;
}

interface How {
  /** another devlxd than that of this project */
  readonly program?: string;
  /** a command that becomes the daemon */
  readonly wrapper?: readonly string[];
  /** done before it starts */
  readonly prepare?: (daemon: TestDaemon) => void;
}

/** A devlxd that a service manager runs (service-manager.py): it holds the sockets. */
export class ManagedDaemon {
  readonly daemon: TestDaemon;
  readonly told: Told[] = [];
  readonly #manager: ChildProcess;
  readonly #arrived = new EventEmitter();

  private constructor(daemon: TestDaemon, wrapper: readonly string[]) {
    this.daemon = daemon;
    const manager = join(packageRoot, 'test/support/service-manager.py');
    this.#manager = spawn('python3', [manager, daemon.runDir, ...wrapper, ...daemon.command()], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#manager.on('exit', () => this.#arrived.emit('told'));
    createInterface({ input: this.#manager.stdout as Readable }).on('line', (line) => {
      this.told.push(JSON.parse(line));
      this.#arrived.emit('told');
    });
  }

  static async start(
    options: readonly string[] = [],
    { program, wrapper = [], prepare }: How = {},
  ): Promise<ManagedDaemon> {
    const daemon = TestDaemon.prepared(['--log-level', 'error', ...options], program);
    mkdirSync(daemon.runDir);
    prepare?.(daemon);
    const managed = new ManagedDaemon(daemon, wrapper);
    await managed.starts(1).catch(async (error: unknown) => {
      await daemon.remove();
      throw error;
    });
    return managed;
  }

  /** Of the daemon that runs now. */
  get pid(): number {
    return this.told.findLast(({ pid }) => pid !== undefined)?.pid ?? 0;
  }

  /** Descriptors that the service manager keeps for the next process. */
  get kept(): number {
    return this.told.findLast(({ kept }) => kept !== undefined)?.kept ?? 0;
  }

  /** Waits until it has said this many times that it is ready. */
  starts(count: number): Promise<void> {
    return this.until(() => this.notified('READY').length >= count);
  }

  /** The values of a notification so far, in order. */
  notified(name: string): string[] {
    return this.told.flatMap(({ notify }) => notify?.[name] ?? []);
  }

  /** Looks at each line that the service manager says, as it comes: what holds between two of them is seen too. */
  until(happened: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.#arrived.off('told', look);
        settle();
      };
      const look = (): void => {
        if (happened()) end(resolve);
        else if (this.#manager.exitCode !== null)
          end(() => reject(new Error('the daemon has not started; the lines above say why')));
      };
      const timer = setTimeout(() => end(() => reject(new Error(`did not happen: ${happened}`))), 60_000);
      this.#arrived.on('told', look);
      look();
    });
  }

  /** how: "restart" or "kill"; done when the next process is ready */
  async again(how: 'restart' | 'kill'): Promise<void> {
    const before = this.notified('READY').length;
    (this.#manager.stdin as Writable).write(`${how}\n`);
    await this.starts(before + 1);
  }

  /** Gives the daemon's exit code. */
  async remove(): Promise<number> {
    const exit = once(this.#manager, 'exit') as Promise<[number]>;
    this.#manager.kill('SIGTERM');
    const [code] = await exit;
    await this.daemon.remove();
    return code;
  }
}

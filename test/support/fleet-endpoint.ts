import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostClient } from '../../src/client/host-client.js';
import { binary, type Ran } from './command.js';
import type { Etcd } from './etcd.js';
import { eventually } from './eventually.js';

/** An endpoint of a fleet: devlxd fleet serve. */
export class Endpoint {
  readonly directory = mkdtempSync(join(tmpdir(), 'devlxd-endpoint-'));
  readonly runDir = join(this.directory, 'run');
  readonly client = new HostClient(this.runDir);
  readonly #etcd: Etcd;
  #child: ChildProcess | undefined;

  private constructor(etcd: Etcd) {
    this.#etcd = etcd;
  }

  static async start(etcd: Etcd): Promise<Endpoint> {
    const endpoint = new Endpoint(etcd);
    await endpoint.run();
    return endpoint;
  }

  async run(): Promise<void> {
    const words = [binary, '--run-dir', this.runDir, 'fleet', 'serve', '--fleet', this.#etcd.endpoints];
    this.#child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'], env: quiet });
    const answers = () => this.client.info().then(Boolean, () => false);
    await eventually('the endpoint answers', answers, 60);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return null;
    const exit = once(child, 'exit');
    child.kill(signal);
    const [code] = await exit;
    return code as number | null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async remove(): Promise<void> {
    await this.client.close();
    await this.end('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const quiet = { ...process.env, DEVLXD_LOG_LEVEL: 'error' };

/** A command of devlxd on a whole fleet. input: standard input */
export function fleetCommand(etcd: Etcd, words: readonly string[], input = ''): Ran {
  const env = { ...process.env, PAGER: 'cat', DEVLXD_FLEET: etcd.endpoints };
  return spawnSync(process.execPath, [binary, ...words], { env, input, encoding: 'utf8', timeout: 60_000 });
}

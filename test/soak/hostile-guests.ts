import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { TestDaemon } from '../support/daemon.js';
import { anchoredYaml, BadOperator } from './bad-operators.js';

/** Of what listeners that do not read are told. */
const bigValue = 16 * 1024;

/** The guests of hostile.ts. */
export class HostileGuests {
  readonly #child: ChildProcess;
  readonly #pids: Readonly<Record<string, number>>;
  readonly #lines: AsyncIterator<string>;
  #counts: Record<string, number> | undefined;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, pids: Readonly<Record<string, number>>) {
    this.#child = child;
    this.#pids = pids;
    this.#lines = lines;
  }

  /** Each a registered instance with a name that says what it does. */
  static async start(daemon: TestDaemon, hostUser: boolean): Promise<HostileGuests> {
    const program = new URL('hostile.js', import.meta.url).pathname;
    const child = spawn(process.execPath, [program, daemon.socket, ...(hostUser ? ['host-user'] : [])], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
    const pids = JSON.parse((await lines.next()).value) as Record<string, number>;
    const keys = Array.from({ length: 1000 }, (_, n) => [`user.key${n}`, `${n}`]);
    const config = { ...Object.fromEntries(keys), 'user.big': 'x'.repeat(100_000) };
    for (const [name, pid] of Object.entries(pids)) await daemon.register(name, pid, config);
    return new HostileGuests(child, lines, pids);
  }

  /** of their instances */
  get names(): readonly string[] {
    return Object.keys(this.#pids);
  }

  begin(): void {
    (this.#child.stdin as Writable).write('\n');
  }

  /**
   * What operators do to them, twice a second: listeners that do not read get events; odd ones are forbidden to listen in
   * the commit of a change, and stopped; and a bad operator sends what is refused.
   */
  async provoke(daemon: TestDaemon, isOver: () => boolean): Promise<void> {
    const bad = new BadOperator(daemon, 'connection-flood');
    for (let n = 0; !isOver(); n++) {
      const config = { 'user.big': String(n % 10).repeat(bigValue) };
      const forbidding = { 'security.devlxd': String(n % 2 === 0), 'user.n': `${n}` };
      const changes = [
        ...['deaf-listeners', 'since-listeners'].map((name) => daemon.set(name, config)),
        ...[forbidding, { 'user.m': `${n}` }].map((keys) => daemon.set('odd-listeners', keys)),
        daemon.set('anchored-yaml', {
          'cloud-init.user-data': `${anchoredYaml}# ${n}\n`,
          'cloud-init.ssh-keys.a': 'root:k',
        }),
      ];
      await Promise.allSettled(changes);
      if (n % 4 === 0) await bad.again();
      if (bad.odd.length > 0) throw new Error(`a bad operator was answered ${bad.odd.join()}`);
      if (n % 20 === 10) await this.#again(daemon, 'odd-listeners').catch(() => undefined);
      await pause(500);
    }
  }

  async #again(daemon: TestDaemon, name: string): Promise<void> {
    await daemon.stopInstance(name);
    await daemon.startInstance(name, this.#pids[name] ?? 0);
  }

  /** @returns how often each has done it */
  async end(): Promise<Record<string, number>> {
    if (this.#counts !== undefined) return this.#counts;
    const exit = once(this.#child, 'exit');
    (this.#child.stdin as Writable).end();
    this.#counts = JSON.parse((await this.#lines.next()).value ?? '{}') as Record<string, number>;
    await exit;
    return this.#counts;
  }
}

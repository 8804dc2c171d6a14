import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { TestDaemon } from '../support/daemon.js';
import { attacks, byHostUser, byStrangers } from './attacks.js';
import { anchoredYaml, BadOperator } from './bad-operators.js';

/** Of what listeners that do not read are told. */
const bigValue = 16 * 1024;

type Counts = Readonly<Record<string, number>>;

/**
 * The guests of hostile.ts. They run when nobody else wants the processor: what they do to the daemon is of interest,
 * not what they take of the processor's time from the clients of the daemon.
 */
export class HostileGuests {
  readonly kinds: readonly string[];
  readonly #child: ChildProcess;
  readonly #pids: Counts;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, pids: Counts, kinds: readonly string[]) {
    this.#child = child;
    this.#pids = pids;
    this.#lines = lines;
    this.kinds = kinds;
  }

  /** Each a registered instance with a name that says what it does. hostUser: a user of the host as well */
  static async start(daemon: TestDaemon, hostUser: boolean): Promise<HostileGuests> {
    const program = new URL('hostile.js', import.meta.url).pathname;
    const child = spawn('chrt', ['--idle', '0', process.execPath, program, daemon.socket], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
    const pids = JSON.parse((await lines.next()).value) as Counts;
    const keys = Array.from({ length: 1000 }, (_, n) => [`user.key${n}`, `${n}`]);
    const config = { ...Object.fromEntries(keys), 'user.big': 'x'.repeat(100_000) };
    for (const [name, pid] of Object.entries(pids)) await daemon.register(name, pid, config);
    const kinds = [...Object.keys(attacks), ...Object.keys(byStrangers), ...Object.keys(hostUser ? byHostUser : {})];
    return new HostileGuests(child, lines, pids, kinds);
  }

  /** of their instances */
  get names(): readonly string[] {
    return Object.keys(this.#pids);
  }

  begin(kinds: readonly string[]): void {
    (this.#child.stdin as Writable).write(`${kinds.join(' ')}\n`);
  }

  /** @returns how often each of them has done it */
  async pause(): Promise<Counts> {
    (this.#child.stdin as Writable).write('\n');
    return JSON.parse((await this.#lines.next()).value) as Counts;
  }

  /**
   * What operators do to them, twice a second: listeners that do not read get events; odd ones are forbidden to listen
   * in the commit of a change, and stopped; and a bad operator sends what is refused. Between the attacks as well, so
   * that what the disk takes for operators is the same.
   */
  async provoke(daemon: TestDaemon, isOver: () => boolean): Promise<void> {
    const bad = new BadOperator(daemon, 'connection-flood');
    for (let n = 0; !isOver(); await pause(500)) {
      n++;
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
    }
  }

  async #again(daemon: TestDaemon, name: string): Promise<void> {
    await daemon.stopInstance(name);
    await daemon.startInstance(name, this.#pids[name] ?? 0);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exit = once(this.#child, 'exit');
    (this.#child.stdin as Writable).end();
    await exit;
  }
}

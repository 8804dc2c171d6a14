import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Unpacked, unpackedFrom } from '../clients/unpacked.js';
import { eventually } from './eventually.js';

/** etcd of a release of Debian: 3.5.16 of trixie, 3.4.23 of bookworm, and the newest of sid. */
export function etcdOf(suite: 'trixie' | 'bookworm' | 'sid'): Unpacked {
  return unpackedFrom(suite, `etcd-${suite}`, ['etcd-server', 'etcd-client']);
}

const found = etcdOf('trixie');

/** For tests that need real members of etcd. */
export const needsEtcd = { skip: found.problem ?? false };

/** Extra words for each member, by its number from 0. */
type More = (member: number) => readonly string[];

interface EtcdOptions {
  readonly members?: number;
  readonly directory?: string;
  readonly more?: More;
  /** of etcdctl, and of what asks whether a member is there */
  readonly scheme?: 'http' | 'https';
  readonly environment?: NodeJS.ProcessEnv;
  /** on which clients are accepted; tests ask on loopback */
  readonly listen?: string;
}

interface MemberStatus {
  readonly Endpoint: string;
  readonly Status: { readonly leader: string; readonly header: { readonly member_id: string } };
}

/** Real members of etcd on loopback, in a directory of their own, that a test can end one by one. */
export class Etcd {
  readonly directory = mkdtempSync(join(tmpdir(), 'devlxd-etcd-'));
  readonly #bin: string;
  readonly #ports: readonly (readonly [client: number, peer: number])[];
  readonly #options: EtcdOptions;
  readonly #children = new Map<number, ChildProcess>();
  /** its data are another history after `wipe` */
  #generation = 0;

  private constructor(ports: readonly (readonly [number, number])[], options: EtcdOptions) {
    const { directory = found.directory } = options;
    this.#bin = join(directory, 'usr/bin');
    this.#ports = ports;
    this.#options = options;
  }

  static async start(options: EtcdOptions = {}): Promise<Etcd> {
    const ports: [number, number][] = [];
    for (let member = 0; member < (options.members ?? 1); member++) ports.push([await freePort(), await freePort()]);
    const etcd = new Etcd(ports, options);
    etcd.launchAll();
    await etcd.ready();
    return etcd;
  }

  get endpoints(): string {
    return this.endpointsAt('127.0.0.1');
  }

  /** As another address of this machine has them. */
  endpointsAt(address: string): string {
    return this.#ports.map(([client]) => `${address}:${client}`).join(',');
  }

  /** Which member leads; undefined: none */
  leader(): number | undefined {
    const all = this.statuses();
    const found = all.find(({ Status: { leader, header } }) => leader === header.member_id)?.Endpoint;
    return this.#numberOf(found);
  }

  /** The ids of the members that answer, by their number. */
  ids(): Map<number, string> {
    return new Map(
      this.statuses().map(({ Endpoint, Status: { header } }) => [
        this.#numberOf(Endpoint) ?? -1,
        BigInt(header.member_id).toString(16),
      ]),
    );
  }

  statuses(): MemberStatus[] {
    // Ids are larger than a number of JavaScript is exact.
    const text = this.run('endpoint', 'status', '-w', 'json').stdout || '[]';
    return JSON.parse(text.replaceAll(/"(leader|member_id)":(\d+)/g, '"$1":"$2"')) as MemberStatus[];
  }

  #numberOf(endpoint: string | undefined): number | undefined {
    const found = this.#ports.findIndex(([client]) => endpoint?.endsWith(`:${client}`));
    return found < 0 ? undefined : found;
  }

  /** Processes of the members that run. */
  get pids(): number[] {
    return [...this.#children.values()].flatMap(({ pid }) => pid ?? []);
  }

  get size(): number {
    return this.#ports.length;
  }

  launchAll(): void {
    for (const member of this.#ports.keys()) this.launch(member);
  }

  launch(member: number): void {
    const scheme = this.#options.scheme ?? 'http';
    const [client, peer] = this.#ports[member] as [number, number];
    const data = join(this.directory, `g${this.#generation}-m${member}`);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    const urls = `${scheme}://127.0.0.1:${client}`;
    const peers = this.#ports.map(([, port], index) => `m${index}=http://127.0.0.1:${port}`).join();
    const words = [
      ...['--name', `m${member}`, '--data-dir', data, '--log-level', 'error'],
      ...['--listen-client-urls', `${scheme}://${this.#options.listen ?? '127.0.0.1'}:${client}`],
      ...['--advertise-client-urls', urls],
      ...[
        '--listen-peer-urls',
        `http://127.0.0.1:${peer}`,
        '--initial-advertise-peer-urls',
        `http://127.0.0.1:${peer}`,
      ],
      ...['--initial-cluster', peers, '--initial-cluster-token', this.directory],
      ...(this.#options.more?.(member) ?? []),
    ];
    const child = spawn(join(this.#bin, 'etcd'), words, { stdio: ['ignore', 'ignore', 'ignore'] });
    this.#children.set(member, child);
  }

  /** A majority answers. */
  ready(): Promise<void> {
    return eventually('etcd answers', () => this.run('get', 'nothing').status === 0);
  }

  async kill(member: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#children.get(member);
    this.#children.delete(member);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  signal(member: number, signal: NodeJS.Signals): void {
    this.#children.get(member)?.kill(signal);
  }

  async killAll(): Promise<void> {
    await Promise.all([...this.#ports.keys()].map((member) => this.kill(member)));
  }

  /** The same members with nothing in them. */
  async wipe(): Promise<void> {
    await this.killAll();
    this.#generation++;
    this.launchAll();
    await this.ready();
  }

  /** A copy of all data, to be given to `restore`. */
  snapshot(): string {
    const file = join(this.directory, `snapshot-${Date.now()}`);
    const { scheme = 'http', environment } = this.#options;
    // Of one member, and of the one that has everything.
    const [client] = this.#ports[this.leader() ?? 0] as [number, number];
    const one = { ...environment, ETCDCTL_ENDPOINTS: `${scheme}://127.0.0.1:${client}` };
    const { status, stderr } = this.runAs(one, 'snapshot', 'save', file);
    if (status !== 0) throw new Error(stderr);
    return file;
  }

  /** All members begin again with a snapshot. */
  async restore(file: string): Promise<void> {
    await this.killAll();
    this.#generation++;
    for (const [member, [, peer]] of this.#ports.entries()) {
      const peers = this.#ports.map(([, port], index) => `m${index}=http://127.0.0.1:${port}`).join();
      const data = join(this.directory, `g${this.#generation}-m${member}`);
      const words = [
        'snapshot',
        'restore',
        file,
        '--name',
        `m${member}`,
        '--data-dir',
        data,
        '--initial-cluster',
        peers,
      ];
      const more = ['--initial-cluster-token', this.directory];
      const url = ['--initial-advertise-peer-urls', `http://127.0.0.1:${peer}`];
      const { status, stderr } = this.run(...words, ...more, ...url);
      if (status !== 0) throw new Error(stderr);
    }
    this.launchAll();
    await this.ready();
  }

  run(...words: string[]): { status: number | null; stdout: string; stderr: string } {
    return this.runAs(this.#options.environment ?? {}, ...words);
  }

  /** environment: says by which certificate */
  runAs(environment: NodeJS.ProcessEnv, ...words: string[]): { status: number | null; stdout: string; stderr: string } {
    const { scheme = 'http' } = this.#options;
    const endpoints = this.#ports.map(([client]) => `${scheme}://127.0.0.1:${client}`).join();
    // A word such as $'\377' is one of bytes that are no text, which only a shell can pass on.
    const quoted = words.map((word) => (word.startsWith("$'") ? word : `'${word.replaceAll("'", "'\\''")}'`));
    return spawnSync('bash', ['-c', `exec '${join(this.#bin, 'etcdctl')}' ${quoted.join(' ')}`], {
      encoding: 'utf8',
      env: { ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: endpoints, ETCDCTL_DIAL_TIMEOUT: '2s', ...environment },
      timeout: 30_000,
      maxBuffer: 1 << 28,
    });
  }

  /** What etcdctl prints when it works. */
  does(...words: string[]): string {
    const { status, stdout, stderr } = this.run(...words);
    if (status !== 0) throw new Error(`etcdctl ${words.join(' ')}: ${stderr}`);
    return stdout;
  }

  put(key: string, value: unknown): void {
    this.does('put', `/devlxd/${key}`, typeof value === 'string' ? value : JSON.stringify(value));
  }

  /** '': there is none */
  get(key: string): string {
    return this.does('get', '--print-value-only', `/devlxd/${key}`).trimEnd();
  }

  async remove(): Promise<void> {
    await this.killAll();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Nobody listens on it at this moment. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

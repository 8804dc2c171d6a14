// npm run bench:fleet: simulated hosts follow three real members of etcd on this machine, each with the two watches of a
// devlxd; and one real devlxd has many instances. What it prints is a table in Markdown.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { HostClient } from '../src/client/host-client.js';
import { EtcdConnection, type Watching } from '../src/etcd/etcd-connection.js';
import { FleetKeys } from '../src/fleet/fleet-keys.js';
import { binary } from '../test/support/command.js';
import { TestDaemon } from '../test/support/daemon.js';
import { Etcd } from '../test/support/etcd.js';
import { eventually } from '../test/support/eventually.js';

const program = new Command('npm run bench:fleet --')
  .option('--hosts <n>', 'simulated hosts', Number, 2000)
  .option('--instances <n>', 'of each of them', Number, 20)
  .option('--connections <n>', 'to etcd, of all of them', Number, 12)
  .option('--on-one <n>', 'instances of the real host', Number, 10_000)
  .parse();
const options = program.opts<{ hosts: number; instances: number; connections: number; onOne: number }>();

const keys = new FleetKeys('/devlxd/');
const setting = { prefix: '/devlxd/', tls: undefined };
const ticksPerSecond = 100;

/** Of all members together. */
function used(etcd: Etcd): { cpu: number; megabytes: number[] } {
  let ticks = 0;
  const megabytes = etcd.pids.map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
    return residentMegabytes(pid);
  });
  return { cpu: ticks / ticksPerSecond, megabytes };
}

function residentMegabytes(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Math.round(Number(kilobytes) / 1024);
}

/** Runs work, and prints how long it took, and what etcd used for it. */
async function phase(etcd: Etcd, name: string, work: () => Promise<string>): Promise<void> {
  const before = used(etcd);
  const began = performance.now();
  const more = await work();
  const seconds = (performance.now() - began) / 1000;
  const after = used(etcd);
  const cpu = (after.cpu - before.cpu).toFixed(2);
  process.stdout.write(`| ${name} | ${seconds.toFixed(1)} s${more} | ${cpu} s | ${after.megabytes.join(', ')} MB |\n`);
}

function quantile(values: readonly number[], part: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(0)} ms`;
}

/** A host that follows, and notes when it hears of a key. */
class SimulatedHost {
  readonly name: string;
  #watching: Watching | undefined;
  revision = 0n;

  constructor(name: string) {
    this.name = name;
  }

  /** When both watches have begun. */
  follow(connection: EtcdConnection, heard: (host: SimulatedHost, key: string) => void): Promise<void> {
    const from = String(this.revision + 1n);
    const prefixes = [keys.instances(this.name), keys.shared];
    const ranges = prefixes.map((prefix, index) => ({ id: String(index + 1), prefix, from }));
    return new Promise((resolve, reject) => {
      let created = 0;
      this.#watching = connection.watch(
        ranges,
        ({ created: begun, header, events }) => {
          if (begun && ++created === ranges.length) resolve();
          if (BigInt(header.revision) > this.revision) this.revision = BigInt(header.revision);
          for (const { kv } of events) heard(this, kv.key.toString());
        },
        reject,
      );
    });
  }

  leave(): void {
    this.#watching?.end();
  }

  async readAll(connection: EtcdConnection): Promise<number> {
    let count = 0;
    const take = (): void => void count++;
    await connection.range(keys.shared, take);
    await connection.range(keys.instances(this.name), take);
    return count;
  }
}

/** A few at a time, as hosts that come back by chance. */
async function each<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item, index: number) => Promise<unknown>,
) {
  let next = 0;
  const one = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as Item, index);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

const instance = (profile: string, value: string) =>
  JSON.stringify({
    created_at: '2026-01-31T12:00:00Z',
    profiles: [profile],
    config: { 'user.value': value, 'user.filler': 'x'.repeat(180) },
  });

async function simulate(etcd: Etcd): Promise<void> {
  const hosts = Array.from({ length: options.hosts }, (_, index) => new SimulatedHost(`host${index}`));
  const endpoints = etcd.endpoints.split(',');
  const connections = Array.from(
    { length: options.connections },
    (_, index) => new EtcdConnection(endpoints[index % endpoints.length] as string, { ...setting, endpoints }),
  );
  const of = (index: number) => connections[index % connections.length] as EtcdConnection;
  let heard: (host: SimulatedHost, key: string) => void = () => undefined;
  const hear = (host: SimulatedHost, key: string): void => heard(host, key);
  const profile = keys.profile('default', 'web');

  await phase(etcd, `${options.hosts * options.instances} instances are put`, async () => {
    await of(0).write([{ put: profile, value: '{"config":{"user.version":"0"}}' }]);
    const all = hosts.flatMap(({ name }) =>
      Array.from({ length: options.instances }, (_, index) => keys.instance(name, 'default', `${name}-i${index}`)),
    );
    const parts = Array.from({ length: Math.ceil(all.length / 100) }, (_, part) =>
      all.slice(part * 100, part * 100 + 100),
    );
    await each(parts, 16, (part, index) => of(index).write(part.map((put) => ({ put, value: instance('web', '0') }))));
    const { revision } = await of(0).now(keys.shared);
    for (const host of hosts) host.revision = BigInt(revision);
    return '';
  });
  await phase(etcd, `${options.hosts} hosts begin to follow`, async () => {
    await each(hosts, 200, (host, index) => host.follow(of(index), hear));
    return '';
  });
  for (const attempt of ['1st', '2nd'])
    await phase(etcd, `a profile is put, ${attempt} time`, async () => {
      const times: number[] = [];
      const began = performance.now();
      const all = new Promise<void>((resolve) => {
        heard = (_, key) => {
          if (key === profile) times.push(performance.now() - began);
          if (times.length === hosts.length) resolve();
        };
      });
      await of(0).write([{ put: profile, value: `{"config":{"user.version":"${attempt}"}}` }]);
      await all;
      return `: first ${quantile(times, 0)}, median ${quantile(times, 0.5)}, last ${quantile(times, 1)}`;
    });
  await phase(etcd, '1,000 puts for single hosts, 8 at once', async () => {
    const began = new Map<string, number>();
    const times: number[] = [];
    heard = (_, key) => void times.push(performance.now() - (began.get(key) ?? 0));
    const chosen = Array.from({ length: 1000 }, (_, index) => hosts[(index * 7919) % hosts.length] as SimulatedHost);
    await each(chosen, 8, async ({ name }, index) => {
      const put = keys.instance(name, 'default', `${name}-new${index}`);
      began.set(put, performance.now());
      await of(index).write([{ put, value: instance('web', String(index)) }]);
    });
    await eventually('all are heard', () => times.length === chosen.length, 60);
    return `: until it is heard p50 ${quantile(times, 0.5)}, p99 ${quantile(times, 0.99)}`;
  });
  for (const host of hosts) host.leave();
  await phase(etcd, 'all reconnect, and go on from their revision', async () => {
    await each(hosts, 200, (host, index) => host.follow(of(index), hear));
    return '';
  });
  await phase(etcd, 'all read everything again', async () => {
    let count = 0;
    await each(hosts, 200, async (host, index) => {
      const read = await host.readAll(of(index));
      count += read;
    });
    return ` (${count} keys)`;
  });
  for (const host of hosts) host.leave();
  for (const connection of connections) connection.close();
}

/** What operators wait for, beside everything that was simulated. */
async function operators(etcd: Etcd): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-bench-fleet-'));
  const began = performance.now();
  const words = [binary, '--run-dir', directory, 'fleet', 'serve', '--fleet', etcd.endpoints];
  const child = spawn(process.execPath, words, { stdio: 'ignore' });
  const client = new HostClient(directory);
  try {
    const answers = () => client.info().then(Boolean, () => false);
    await eventually('the endpoint answers', answers, 120);
    const count = (await client.instances.list({ filter: 'project=default' })).length;
    const took = ((performance.now() - began) / 1000).toFixed(1);
    process.stdout.write(
      `| fleet serve reads and lists ${count} instances | ${took} s | ${residentMegabytes(child.pid ?? 0)} MB |\n`,
    );
    const times: number[] = [];
    for (let index = 0; index < 100; index++) {
      const from = performance.now();
      await client.instances.patch('only0', { config: { 'user.value': String(index) } });
      times.push(performance.now() - from);
    }
    process.stdout.write(`| set, asked of it | p50 ${quantile(times, 0.5)}, p99 ${quantile(times, 0.99)} | |\n`);
    const from = performance.now();
    spawnSync(process.execPath, [binary, '--fleet', etcd.endpoints, 'set', 'only0', 'user.value=x'], {
      stdio: 'inherit',
    });
    process.stdout.write(
      `| devlxd --fleet set, as a process | ${((performance.now() - from) / 1000).toFixed(1)} s | |\n`,
    );
  } finally {
    child.kill('SIGKILL');
    await client.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function onOneHost(etcd: Etcd): Promise<void> {
  const connection = new EtcdConnection(etcd.endpoints.split(',')[0] as string, { ...setting, endpoints: [] });
  const names = Array.from({ length: options.onOne }, (_, index) => `i${index}`);
  const parts = Array.from({ length: Math.ceil(names.length / 100) }, (_, part) =>
    names.slice(part * 100, part * 100 + 100),
  );
  const users = names.length * 0.9;
  await connection.write([
    { put: keys.profile('default', 'some'), value: '{}' },
    { put: keys.instance('real', 'default', 'only0'), value: instance('some', '0') },
    { put: keys.place('default', 'only0'), value: 'real' },
  ]);
  await each(parts, 8, (part, index) =>
    connection.write(
      part.map((name, at) => ({
        put: keys.instance('real', 'default', name),
        value: instance(index * 100 + at < users ? 'web' : 'some', '0'),
      })),
    ),
  );
  const daemon = TestDaemon.prepared(['--source', 'etcd', '--etcd-endpoints', etcd.endpoints, '--etcd-host', 'real']);
  const isInStep = async (revision: string): Promise<boolean> => {
    const { applied, connected } = (await daemon.client.request('GET', '/1.0/source')) as {
      applied: string;
      connected: boolean;
    };
    return connected && BigInt(applied) >= BigInt(revision);
  };
  const line = async (name: string, work: () => Promise<string>): Promise<void> => {
    const began = performance.now();
    const revision = await work();
    await eventually(name, () => isInStep(revision), 120);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    process.stdout.write(`| ${name} | ${seconds} s | ${residentMegabytes(daemon.pid)} MB |\n`);
  };
  try {
    const { revision } = await connection.now(keys.shared);
    await line(`a host with ${names.length} instances reads all of them`, async () => {
      await daemon.run();
      return connection.newest(keys.instances('real'));
    });
    await line(`a profile that ${users} of them use`, async () => {
      const value = `{"config":{"user.version":"${revision}"}}`;
      return (await connection.write([{ put: keys.profile('default', 'web'), value }])).header.revision;
    });
    await line('one instance', async () => {
      const put = keys.instance('real', 'default', 'i0');
      return (await connection.write([{ put, value: instance('web', 'new') }])).header.revision;
    });
    await line('a restart', async () => {
      await daemon.end();
      await daemon.run();
      return connection.newest(keys.instances('real'));
    });
  } finally {
    await daemon.remove();
    connection.close();
  }
}

const etcd = await Etcd.start({ members: 3 });
try {
  const load = loadavg()[0]?.toFixed(1);
  process.stdout.write(
    `${cpus().length} cores, load ${load}; ${etcd.does('version').split('\n')[0]}, 3 members on it\n\n`,
  );
  process.stdout.write('| | took | CPU of etcd | memory of each member |\n|---|---|---|---|\n');
  await simulate(etcd);
  process.stdout.write('\n| | until its guests would know | memory of devlxd |\n|---|---|---|\n');
  await onOneHost(etcd);
  await operators(etcd);
} finally {
  await etcd.remove();
}

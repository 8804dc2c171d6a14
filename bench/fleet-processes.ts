import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostClient } from '../src/client/host-client.js';
import { EtcdConnection } from '../src/etcd/etcd-connection.js';
import { binary } from '../test/support/command.js';
import { TestDaemon } from '../test/support/daemon.js';
import type { Etcd } from '../test/support/etcd.js';
import { eventually } from '../test/support/eventually.js';
import { each, instance, keys, quantile, residentMegabytes, setting } from './fleet-figures.js';

/** What operators wait for, beside everything that was simulated. */
export async function operators(etcd: Etcd): Promise<void> {
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
    const asked = performance.now();
    const { stdout } = spawnSync(process.execPath, [binary, 'fleet', 'hosts', '--fleet', etcd.endpoints], {
      encoding: 'utf8',
    });
    const shown = stdout.trim().split('\n').length - 1;
    process.stdout.write(
      `| fleet hosts shows ${shown} hosts | ${((performance.now() - asked) / 1000).toFixed(1)} s | |\n`,
    );
  } finally {
    child.kill('SIGKILL');
    await client.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A real devlxd that has many instances. */
export async function onOneHost(etcd: Etcd, count: number): Promise<void> {
  const connection = new EtcdConnection(etcd.endpoints.split(',')[0] as string, { ...setting, endpoints: [] });
  const names = Array.from({ length: count }, (_, index) => `i${index}`);
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

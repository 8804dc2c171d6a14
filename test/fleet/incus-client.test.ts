import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { socketPaths } from '../../src/config/paths.js';
import { unpackedFrom } from '../clients/unpacked.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { Endpoint } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';

/** Incus' own client on the endpoint of a fleet, which is a cluster to it. */
const client = unpackedFrom('bookworm-backports', 'incus-bookworm-backports', ['incus-client']);
const needs = { skip: needsEtcd.skip || (client.problem ?? false) };
const home = mkdtempSync(join(tmpdir(), 'devlxd-incus-'));
let etcd: Etcd;
let endpoint: Endpoint;
const hosts: FleetHost[] = [];

before(async () => {
  if (needs.skip) return;
  writeFileSync(join(home, 'config.yml'), '{}\n'); // without it the client speaks of how to begin
  etcd = await Etcd.start();
  for (const name of ['h1', 'h2']) hosts.push(await FleetHost.start(etcd, name));
  endpoint = await Endpoint.start(etcd);
});

after(async () => {
  await endpoint?.remove();
  for (const host of hosts) await host.remove();
  await etcd?.remove();
  rmSync(home, { recursive: true, force: true });
});

function incus(...words: string[]): string {
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    INCUS_CONF: home,
    INCUS_SOCKET: socketPaths(endpoint.runDir).control,
  };
  const ran = spawnSync(join(client.directory, 'usr/bin/incus'), words, { env, encoding: 'utf8', timeout: 60_000 });
  assert.equal(ran.status, 0, `incus ${words.join(' ')}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout;
}

test('it creates, lists, sets, moves and deletes on the fleet', needs, async () => {
  const [first, second] = hosts as [FleetHost, FleetHost];
  incus('create', '--empty', 'i1', '--target', 'h2');
  await second.until('i1', 'Stopped');
  incus('config', 'set', 'i1', 'user.a=1');
  assert.match(incus('list', '--format', 'csv', '-c', 'nsL'), /^i1,STOPPED,h2$/m);
  assert.match(incus('cluster', 'list', '--format', 'csv'), /^h1,.*ONLINE/m);
  incus('move', 'i1', '--target', 'h1');
  await first.until('i1', 'Stopped');
  assert.equal((await first.config('i1'))['user.a'], '1');
  incus('profile', 'create', 'web');
  incus('profile', 'set', 'web', 'user.p=1');
  incus('profile', 'assign', 'i1', 'default,web');
  incus('delete', 'i1');
  await first.until('i1', 'none');
});

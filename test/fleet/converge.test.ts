import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { HostClient } from '../../src/client/host-client.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { Endpoint } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';

/** Operators at several endpoints change the same few things at once, by chance; in the end all see what etcd has. */
let etcd: Etcd;
const endpoints: Endpoint[] = [];
const hosts: FleetHost[] = [];
const names = ['a', 'b', 'c', 'd'];
const hostNames = ['h1', 'h2'];

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start();
  for (const name of hostNames) hosts.push(await FleetHost.start(etcd, name));
  endpoints.push(...(await Promise.all([Endpoint.start(etcd), Endpoint.start(etcd)])));
});

after(async () => {
  for (const endpoint of endpoints) await endpoint.remove();
  for (const host of hosts) await host.remove();
  await etcd?.remove();
});

function some<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)] as Item;
}

/** What an operator may do; most of it is refused where it does not fit what is there. */
const changes: readonly ((client: HostClient, index: number) => Promise<unknown>)[] = [
  ({ instances }, index) =>
    instances.create({ name: some(names), config: { 'user.n': String(index) } }, some(hostNames)),
  ({ instances }, index) => instances.patch(some(names), { config: { [`user.k${index % 5}`]: String(index) } }),
  ({ instances }) => instances.patch(some(names), { profiles: ['web'] }),
  ({ instances }) => instances.delete(some(names)),
  ({ instances }) => instances.move(some(names), some(hostNames)),
  ({ instances }) => instances.rename(some(names), some(names)),
  ({ profiles }, index) => profiles.create({ name: 'web', config: { 'user.p': String(index) } }),
  ({ profiles }, index) => profiles.patch('web', { config: { 'user.p': String(index) } }),
  ({ profiles }) => profiles.delete('web'),
];

/** Of instances by name: host, own keys and profiles. */
type Seen = Record<string, string>;

function textOf(host: string, config: Readonly<Record<string, string>>, profiles: readonly string[]): string {
  const own = Object.entries(config).filter(([key]) => !key.startsWith('volatile.'));
  // A host has no "default" of the fleet where the fleet has none.
  return JSON.stringify([host, own.sort(), profiles.filter((profile) => profile !== 'default')]);
}

function inEtcd(): Seen {
  const text = etcd.does('get', '--prefix', '/devlxd/host/', '-w', 'json');
  const { kvs = [] } = JSON.parse(text) as { kvs?: { key: string; value: string }[] };
  const entries = kvs.map(({ key, value }): [string, string] => {
    const [host = '', , , name = ''] = Buffer.from(key, 'base64').toString().slice('/devlxd/host/'.length).split('/');
    const { config, profiles } = JSON.parse(Buffer.from(value, 'base64').toString());
    return [name, textOf(host, config, profiles)];
  });
  const seen = Object.fromEntries(entries);
  assert.equal(Object.keys(seen).length, entries.length, 'a name is one in the whole fleet');
  const places = etcd.does('get', '--prefix', '--keys-only', '/devlxd/place/').match(/[^/\s]+$/gm) ?? [];
  assert.deepEqual(places.sort(), Object.keys(seen).sort(), 'each has its place');
  return seen;
}

async function atEndpoint({ client }: Endpoint): Promise<Seen> {
  const list = await client.instances.list();
  return Object.fromEntries(
    list.map(({ name, location, config, profiles }) => [name, textOf(location, config, profiles)]),
  );
}

async function onHosts(): Promise<Seen> {
  const lists = await Promise.all(
    hosts.map(async ({ name: host, daemon }) =>
      (await daemon.client.instances.list()).map(({ name, config, profiles }) => [
        name,
        textOf(host, config, profiles),
      ]),
    ),
  );
  return Object.fromEntries(lists.flat());
}

test('whatever is changed at once, all see what etcd has, and names are one in the fleet', needsEtcd, async () => {
  const refusals = new Map<string, number>();
  let done = 0;
  for (let round = 0; round < 4; round++) {
    const operators = Array.from({ length: 6 }, async (_, operator) => {
      const { client } = endpoints[operator % endpoints.length] as Endpoint;
      for (let index = 0; index < 25; index++) {
        try {
          await some(changes)(client, index);
          done++;
        } catch (error) {
          const { message } = error as Error;
          refusals.set(message, (refusals.get(message) ?? 0) + 1);
        }
        await pause(Math.random() * 5);
      }
    });
    await Promise.all(operators);
    if (round === 2) {
      await etcd.kill(0);
      etcd.launch(0);
      await etcd.ready();
    }
    const expected = inEtcd();
    for (const endpoint of endpoints)
      await eventually(
        'an endpoint sees it',
        async () => {
          const seen = await atEndpoint(endpoint).catch(() => undefined);
          return seen !== undefined && JSON.stringify(sorted(seen)) === JSON.stringify(sorted(expected));
        },
        60,
      );
    await eventually(
      'the hosts have it',
      async () => JSON.stringify(sorted(await onHosts())) === JSON.stringify(sorted(expected)),
      60,
    );
  }
  assert.ok(done > 50, `${done} changes`);
  const expectedRefusals = /not found|already exists|in use|Profile "web"|profile "web"|same time/;
  assert.deepEqual(
    [...refusals.keys()].filter((message) => !expectedRefusals.test(message)),
    [],
  );
});

function sorted(seen: Seen): [string, string][] {
  return Object.entries(seen).sort(([a], [b]) => (a < b ? -1 : 1));
}

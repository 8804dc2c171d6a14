import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HostShown } from '../../src/fleet/fleet-hosts.js';
import { TestDaemon } from '../support/daemon.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { fleetCommand } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';
import type { Guest } from '../support/guest-processes.js';
import { Network, needsNetworks } from '../support/network.js';

/** Three hosts, each in a network of its own, and members of etcd that hang and change their leader. */
const needs = { skip: needsEtcd.skip || needsNetworks.skip };
/** A lease of 30 s and keepalives of 15 s, on a machine that has much else to do. */
const longest = 120;

let etcd: Etcd;
const networks: Network[] = [];
const hosts: FleetHost[] = [];
const guests: Guest[] = [];
let value = 0;

before(async () => {
  if (needs.skip) return;
  etcd = await Etcd.start({ members: 3, listen: '0.0.0.0' });
  for (const name of ['h1', 'h2', 'h3']) {
    const network = new Network();
    networks.push(network);
    const start = (options: readonly string[]) => TestDaemon.startBy(network.prefix, options);
    const host = await FleetHost.start(etcd, name, ['--etcd-endpoints', etcd.endpointsAt(network.gateway)], start);
    hosts.push(host);
    guests.push(await host.running('c', { config: { 'user.a': '0' } }));
  }
});

after(async () => {
  for (const host of hosts) await host.remove();
  for (const network of networks) network.remove();
  await etcd?.remove();
});

function putAll(): string {
  value++;
  for (const host of hosts) host.put('c', { config: { 'user.a': String(value) } });
  return String(value);
}

async function hear(heard: string, of: readonly FleetHost[] = hosts): Promise<void> {
  for (const host of of) {
    const guest = guests[hosts.indexOf(host)] as Guest;
    await eventually(`${host.name} has ${heard}`, async () => (await host.answer(guest, 'user.a')) === heard, longest);
  }
}

function stateOf(name: string): string | undefined {
  const { stdout } = fleetCommand(etcd, ['fleet', 'hosts', '--format', 'json']);
  return (JSON.parse(stdout || '[]') as HostShown[]).find(({ host }) => host === name)?.state;
}

test(
  'a host that is cut off serves what it has, is away, and hears the last value when it is back',
  needs,
  async () => {
    const [cut, ...others] = hosts as [FleetHost, ...FleetHost[]];
    await hear(putAll());
    const before = String(value);
    networks[0]?.cut();
    putAll();
    await hear(putAll(), others);
    await hear(before, [cut]);
    await eventually('it says so', async () => !(await cut.source()).connected, longest);
    await eventually('it is away', () => stateOf('h1') === 'away', longest);
    await hear(before, [cut]);
    networks[0]?.heal();
    await hear(String(value));
    await eventually('it is in step', () => stateOf('h1') === 'in step', longest);
  },
);

test('a leader that hangs is left, by etcd and by the hosts', needs, async () => {
  const leader = etcd.leader();
  assert.ok(leader !== undefined);
  etcd.signal(leader, 'SIGSTOP');
  await eventually('etcd takes a value', () => etcd.run('put', '/devlxd/other', '1').status === 0, longest);
  await hear(putAll());
  etcd.signal(leader, 'SIGCONT');
  await hear(putAll());
});

test('nobody notices another leader', needs, async () => {
  const leader = etcd.leader();
  const [next] = [...etcd.ids()].filter(([member]) => member !== leader);
  const reads = () =>
    Promise.all(hosts.map((host) => host.daemon.metric('devlxd_source_requests_total', { scope: 'all' })));
  const before = await reads();
  // Only the leader can be asked to go.
  await eventually(
    'another one leads',
    () => {
      etcd.run('move-leader', next?.[1] ?? '');
      return etcd.leader() === next?.[0];
    },
    longest,
  );
  await hear(putAll());
  assert.deepEqual(await reads(), before);
});

test('a daemon ends while all members hang, and its guest is served by the next one', needs, async () => {
  const [host] = hosts as [FleetHost];
  for (let member = 0; member < etcd.size; member++) etcd.signal(member, 'SIGSTOP');
  await host.daemon.end();
  await host.daemon.run();
  await hear(String(value), [host]);
  for (let member = 0; member < etcd.size; member++) etcd.signal(member, 'SIGCONT');
  await hear(putAll());
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TestDaemon } from '../support/daemon.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { EventStream } from '../support/event-stream.js';
import { eventually } from '../support/eventually.js';
import { Endpoint } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';
import type { Guest } from '../support/guest-processes.js';

/** DEVLXD_FLEET_ROUNDS=200 npm run test:fleet: for minutes. */
const rounds = Number(process.env['DEVLXD_FLEET_ROUNDS'] ?? '3');

let etcd: Etcd;
let endpoint: Endpoint;
const hosts: FleetHost[] = [];
const guests: Guest[] = [];
let value = 0;

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start({ members: 3 });
  for (const name of ['h1', 'h2', 'h3']) {
    const host = await FleetHost.start(etcd, name, [], TestDaemon.startWithSockets);
    hosts.push(host);
    guests.push(await host.running(`c${name}`, { config: { 'user.a': '0' } }));
  }
  endpoint = await Endpoint.start(etcd);
});

after(async () => {
  await endpoint?.remove();
  for (const host of hosts) await host.remove();
  await etcd?.remove();
});

/** Asks until it is over. Values only grow, and nothing but a value is ever answered; a connection may break with its daemon. */
async function asks(host: FleetHost, guest: Guest, over: AbortSignal): Promise<number> {
  let answers = 0;
  let last = 0;
  while (!over.aborted) {
    const answer = await host.answer(guest, 'user.a').catch(() => undefined);
    if (answer === undefined) continue;
    assert.ok(Number(answer) >= last && answer !== '404' && answer !== '403', `${host.name}: ${answer} after ${last}`);
    last = Number(answer);
    answers++;
    await pause(5);
  }
  return answers;
}

/** Another value for each host, by the endpoint, which is asked again until it says that it is done. */
async function putAll(): Promise<void> {
  value++;
  const config = { 'user.a': String(value + 1000) };
  for (const { name } of hosts) {
    const patched = () =>
      endpoint.client.instances.patch(`c${name}`, { config }).then(
        () => true,
        () => false,
      );
    await eventually('the endpoint takes it', patched, 60);
  }
}

/** Often the leader. */
function someMember(): number {
  return Math.random() < 0.5 ? (etcd.leader() ?? 0) : Math.floor(Math.random() * etcd.size);
}

test('whatever is killed in whatever order, each host ends with what etcd says', needsEtcd, async () => {
  const over = new AbortController();
  const asking = hosts.map((host, index) => asks(host, guests[index] as Guest, over.signal));
  for (let round = 0; round < rounds; round++) {
    const member = someMember();
    const host = hosts[round % hosts.length] as FleetHost;
    const [withHost, withEndpoint] = [Math.random() < 0.5, Math.random() < 0.3];
    await Promise.all([
      etcd.kill(member),
      withHost ? host.daemon.end('SIGKILL') : undefined,
      withEndpoint ? endpoint.end('SIGKILL') : undefined,
    ]);
    await etcd.ready();
    if (withEndpoint) await endpoint.run();
    await putAll();
    if (withHost) await host.daemon.run();
    etcd.launch(member);
    await etcd.ready();
    await putAll();
  }
  const streams = await Promise.all(
    hosts.map((host, index) => EventStream.webSocket(guests[index] as Guest, host.daemon.socket)),
  );
  await putAll();
  const last = String(value + 1000);
  for (const [index, host] of hosts.entries()) {
    const isLast = async () => (await host.answer(guests[index] as Guest, 'user.a').catch(() => '')) === last;
    await eventually(`${host.name} has the last value`, isLast, 60);
    assert.match(etcd.get(`host/${host.name}/instance/default/c${host.name}`), new RegExp(`"user.a":"${last}"`));
  }
  over.abort();
  for (const answers of await Promise.all(asking)) assert.ok(answers > 0);
  for (const stream of streams) {
    await eventually('the last value is heard', () => stream.events.at(-1)?.metadata['value'] === last);
    stream.end();
  }
});

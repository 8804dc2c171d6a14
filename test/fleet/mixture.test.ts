import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TestDaemon } from '../support/daemon.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { EventStream } from '../support/event-stream.js';
import { eventually } from '../support/eventually.js';
import { FleetHost } from '../support/fleet-host.js';
import type { Guest } from '../support/guest-processes.js';

/** DEVLXD_FLEET_ROUNDS=200 npm run test:fleet: for minutes. */
const rounds = Number(process.env['DEVLXD_FLEET_ROUNDS'] ?? '3');

let etcd: Etcd;
const hosts: FleetHost[] = [];
const guests: Guest[] = [];
let value = 0;

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start({ members: 3 });
  for (const name of ['h1', 'h2']) {
    const host = await FleetHost.start(etcd, name, [], TestDaemon.startWithSockets);
    hosts.push(host);
    guests.push(await host.running('c', { config: { 'user.a': '0' } }));
  }
});

after(async () => {
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

/** Another value for each host, as soon as a majority answers. */
function putAll(): void {
  value++;
  for (const host of hosts) host.put('c', { config: { 'user.a': String(value + 1000) } });
}

test('whatever is killed in whatever order, each host ends with what etcd says', needsEtcd, async () => {
  const over = new AbortController();
  const asking = hosts.map((host, index) => asks(host, guests[index] as Guest, over.signal));
  for (let round = 0; round < rounds; round++) {
    const member = Math.floor(Math.random() * etcd.size);
    const host = hosts[round % hosts.length] as FleetHost;
    const both = Math.random() < 0.5;
    await Promise.all([etcd.kill(member), both ? host.daemon.end('SIGKILL') : undefined]);
    await etcd.ready();
    putAll();
    if (both) await host.daemon.run();
    etcd.launch(member);
    await etcd.ready();
    putAll();
  }
  const streams = await Promise.all(
    hosts.map((host, index) => EventStream.webSocket(guests[index] as Guest, host.daemon.socket)),
  );
  putAll();
  for (const [index, host] of hosts.entries()) await host.hears(guests[index] as Guest, 'user.a', String(value + 1000));
  over.abort();
  for (const answers of await Promise.all(asking)) assert.ok(answers > 0);
  for (const stream of streams) {
    const last = String(value + 1000);
    await eventually('the last value is heard', () => stream.events.at(-1)?.metadata['value'] === last);
    stream.end();
  }
});

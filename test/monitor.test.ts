import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HostEvent } from '../src/api/types.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';
import { Lxc, needsLxc } from './support/lxc.js';

let daemon: TestDaemon;
let guests: Guests;
const commandLine = new CommandLine(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
});

after(async () => {
  commandLine.endAll();
  await guests.close();
  await daemon.remove();
});

let pokes = 0;

/** Does something that is heard of, until it is. */
async function listens(text: () => string): Promise<void> {
  await eventually('the monitor listens', async () => {
    await daemon.client.profiles.patch('default', { description: `poke ${++pokes}` });
    return text().includes('profile-updated');
  });
}

/** Go leaves zeros out at the end of a fraction. */
function documents(text: string): HostEvent[] {
  const lines = text.split('\n').slice(0, -1);
  return lines
    .filter((line) => line.startsWith('{'))
    .map((line) => {
      const event = JSON.parse(line);
      return { ...event, timestamp: `${event.timestamp.slice(0, -1).padEnd(29, '0')}Z` };
    });
}

const ofInstances = (event: HostEvent) =>
  event.type === 'lifecycle' && event.metadata.source.startsWith('/1.0/instances/');

function byTimestamp(a: HostEvent, b: HostEvent): number {
  return a.timestamp < b.timestamp ? -1 : 1;
}

test('lxc monitor and devlxd monitor see the same lifecycle events in the same order', needsLxc, async () => {
  const lxc = new Lxc(daemon);
  const theirs = lxc.follow(['monitor', '--type', 'lifecycle', '--format', 'json']);
  const ours = commandLine.follow(['monitor', '--type', 'lifecycle', '--format', 'json']);
  await listens(theirs.text);
  await listens(ours.text);
  const guest = guests.one();
  for (let n = 0; n < 20; n++) {
    await daemon.client.instances.create({ name: `seen${n}` });
    await daemon.client.instances.patch(`seen${n}`, { config: { 'user.n': String(n) } });
  }
  await daemon.startInstance('seen0', guest.pid);
  await daemon.stopInstance('seen0');
  await daemon.client.instances.rename('seen0', 'saw');
  for (const name of ['saw', ...Array.from({ length: 19 }, (_, n) => `seen${n + 1}`)])
    await daemon.client.instances.delete(name);
  const [ofTheirs, ofOurs] = [theirs, ours].map(
    ({ text }) =>
      () =>
        documents(text()).filter(ofInstances),
  );
  const count = 20 * 2 + 3 + 20;
  await eventually('all of it', () => ofTheirs?.().length === count && ofOurs?.().length === count);
  const heard = ofOurs?.() ?? [];
  assert.deepEqual(heard.toSorted(byTimestamp), heard, 'ours are in order');
  // Their client handles each event in a goroutine of its own, and prints those that come together as it happens.
  assert.deepEqual((ofTheirs?.() ?? []).toSorted(byTimestamp), heard);
  const actions = heard.map(({ metadata }) => (metadata as { action: string }).action);
  assert.deepEqual(actions.slice(38, 44), [
    'instance-created',
    'instance-updated',
    'instance-started',
    'instance-stopped',
    'instance-renamed',
    'instance-deleted',
  ]);
  assert.equal(await ours.end(), 0);
  await theirs.end();
  lxc.remove();
});

test('for people: a line each, of what is asked for', async () => {
  const all = commandLine.follow(['monitor']);
  const some = commandLine.follow(['monitor', '--type', 'lifecycle', '--instance', 'mine', 'also']);
  const counted = commandLine.follow(['monitor', '--type', 'lifecycle', '--format', 'yaml', '--count', '2']);
  await listens(all.text);
  await eventually('two events', async () => {
    await daemon.client.profiles.patch('default', { description: `poke ${++pokes}` });
    return counted.text().split('\n---\n').length === 2;
  });
  assert.deepEqual(await counted.closed, [0, null]);
  assert.match(counted.text(), /^---\ntype: lifecycle\n[\s\S]*\n---\ntype: lifecycle\n/);
  // It says nothing of profiles: that it listens is known when there is one listener more.
  await eventually('all listen', async () => /role="control"\} 2$/m.test(await daemon.client.metrics()));
  for (const name of ['mine', 'others']) await daemon.create(name);
  await daemon.startInstance('mine', guests.one().pid);
  await daemon.stopInstance('mine');
  await daemon.client.instances.rename('mine', 'renamed');
  await daemon.client.instances.delete('renamed');
  await eventually('the last', () => all.text().includes('instance-deleted'));
  await eventually('the rename', () => some.text().includes('renamed'));
  const lines = some.text().trimEnd().split('\n');
  const by = 'lifecycle  instance';
  const who = process.getuid?.() === 0 ? 'root' : '\\S+';
  const expected = ['created   mine', 'started   mine', 'stopped   mine', 'renamed   renamed, was mine'];
  assert.equal(lines.length, expected.length, some.text());
  for (const [index, line] of lines.entries()) {
    assert.match(line, new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\.\\d{3}  ${by}-${expected[index]} \\(${who}\\)$`));
  }
  assert.match(all.text(), /operation {2}Running: Creating instance {2}others\n/);
  assert.match(all.text(), /operation {2}Success: Creating instance {2}others\n/);
  assert.match(all.text(), /logging {4}info: instance started {2}instance=mine {2}project=default {2}pid=\d+\n/);
  assert.deepEqual([await all.end(), await some.end('SIGTERM')], [0, 0]);
});

test('a daemon that is started anew is followed again, and the gap is told', async () => {
  const monitor = commandLine.follow(['monitor', '--type', 'lifecycle', '--format', 'lines']);
  await listens(monitor.text);
  await daemon.end('SIGKILL');
  await daemon.run();
  await eventually('it is back', () => monitor.text().includes('the connection was lost and is back'));
  await daemon.create('after');
  await eventually('the event', () => monitor.text().includes('instance-created   after'));
  assert.equal(await monitor.end(), 0);
});

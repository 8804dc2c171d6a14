import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';
import { Vmm } from './support/vmm.js';

const domain = readFileSync(join(packageRoot, 'test/support/libvirt-domain.xml'), 'utf8');
const markPath = '/1.0/config/user.mark';

let daemon: TestDaemon;
let libvirt: string;
const vmms: Vmm[] = [];

before(async () => {
  daemon = await TestDaemon.start();
  libvirt = join(daemon.directory, 'libvirt');
  mkdirSync(libvirt);
});

after(async () => {
  for (const vmm of vmms) await vmm.end();
  await daemon.remove();
});

async function vmm(more: readonly string[] = []): Promise<Vmm> {
  const started = await Vmm.start(daemon.socket, more);
  vmms.push(started);
  return started;
}

/** What a hook has to complain of; empty: nothing. */
async function hook(words: readonly string[], input = '', environment = {}): Promise<string> {
  const own = { DEVLXD_RUN_DIR: daemon.runDir, DEVLXD_HOOK_ON_ERROR: 'fail', DEVLXD_LIBVIRT_DIR: libvirt };
  const child = spawn(join(packageRoot, 'bin/devlxd-hook'), words, { env: { ...own, ...environment } });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [complaint, written, [code]] = await Promise.all([text(child.stderr), text(child.stdout), once(child, 'exit')]);
  assert.equal(code, complaint === '' ? 0 : 1, complaint);
  assert.equal(written, '', 'libvirt would take it for a domain');
  return complaint;
}

function called(operation: string, xml = domain, words: readonly string[] = []): Promise<string> {
  return hook(['libvirt', ...words, 'web1', operation, operation === 'stopped' ? 'end' : 'begin', '-'], xml);
}

test('libvirt: a domain is registered by its pid file and its CID, and ends with its process', async () => {
  const first = await vmm();
  writeFileSync(join(libvirt, 'web1.pid'), `${first.pid}\n`);
  for (const operation of ['prepare', 'start']) assert.equal(await called(operation), '');
  await assert.rejects(daemon.status('web1'), /not found/);
  const words = ['user.mark=of the domain', 'security.devlxd.nonroot=true'];
  for (const operation of ['started', 'reconnect']) assert.equal(await called(operation, domain, words), '');
  const { type, status, config } = await daemon.client.instances.get('web1');
  assert.deepEqual([type, status, config['volatile.vsock_id']], ['virtual-machine', 'Running', '4']);
  assert.equal((await ask(first.connect(), markPath)).body, 'of the domain');
  await first.end();
  assert.equal(await called('stopped'), '');
  await eventually('it is stopped', async () => (await daemon.status('web1')) === 'Stopped');
  assert.equal(await called('release'), '');
});

test('libvirt: what is no domain with vsock that starts is left alone', async () => {
  const withoutVsock = domain.replace(/<vsock.*<\/vsock>/s, '');
  const forged = withoutVsock.replace('<metadata>', `<metadata>${/<vsock.*<\/vsock>/s.exec(domain)?.[0]}`);
  for (const xml of [withoutVsock, forged, '', '<domain']) assert.equal(await called('started', xml), '');
  for (const operation of ['migrate', 'restore', 'attach']) assert.equal(await called(operation), '');
  await daemon.create('a1');
  const wrong = await hook(['libvirt', 'a1', 'started', 'begin', '-'], domain);
  assert.match(wrong, /the pid file of the domain "a1": is missing/);
  assert.match(await hook(['libvirt', 'web1'], domain), /only libvirt calls this hook/);
  rmSync(join(libvirt, 'web1.pid'));
});

test('a unit registers a machine by MAINPID, with keys, before it boots', async () => {
  const started = await vmm();
  const environment = { MAINPID: String(started.pid) };
  const words = ['user.mark=of the unit', 'security.devlxd.nonroot=true'];
  assert.equal(await hook(['vm', 'start', 'unit1', ...words], '', environment), '');
  assert.equal((await ask(started.connect(), markPath)).body, 'of the unit');
  await started.end();
  assert.equal(await hook(['vm', 'stop', 'unit1'], '', environment), '');
  assert.equal(await daemon.status('unit1'), 'Stopped');
});

test('Firecracker in a jail with a pid namespace of its own: what it asks before is held', async () => {
  const guests = new Guests();
  const jailer = guests.one();
  const asked = ask(jailer.connect(daemon.socket), markPath);
  const words = ['user.mark=of the jail', 'security.devlxd.nonroot=true'];
  assert.equal(await hook(['vm', 'start', 'jail1', '--pid', String(jailer.pid), ...words]), '');
  assert.equal((await asked).body, 'of the jail');
  await guests.close();
});

test('a VMM in the pid namespace of another process is known by itself, also to callers that were held', async () => {
  const guests = new Guests();
  const pod = guests.one();
  const { socket, pid } = pod.connectFrom(daemon.socket, { child: true });
  const asked = ask(socket, markPath);
  const words = ['user.mark=of the pod', 'security.devlxd.nonroot=true'];
  assert.equal(await hook(['vm', 'start', 'pod1', '--pid', String(pid), ...words]), '');
  assert.equal((await asked).body, 'of the pod');
  await guests.close();
});

test('a process that connects for two machines is refused, and so is a CID that is none', async () => {
  const both = await vmm(['--vm', 'guest-cid=50,socket=/a', '--vm=guest-cid=51,socket=/b']);
  const start = ['vm', 'start', 'two1', '--pid', String(both.pid)];
  assert.match(await hook(start), /connects for 2 virtual machines .*start one for each/);
  await assert.rejects(daemon.status('two1'), /not found/);
  const one = await vmm(['--vm', 'guest-cid=50,socket=/a']);
  for (const cid of ['2', '4294967295', 'x', '-1'])
    assert.match(await hook(['vm', 'start', 'one1', '--pid', String(one.pid), '--cid', cid]), /is no context id|--cid/);
  assert.equal(await hook(['vm', 'start', 'one1', '--pid', String(one.pid), '--cid', '50']), '');
  const other = await vmm();
  const again = await hook(['vm', 'start', 'one2', '--pid', String(other.pid), '--cid', '50']);
  assert.match(again, /CID belongs to another running instance/);
});

test('a container has no CID, and a hook makes no machine of it', async () => {
  const started = await vmm();
  await daemon.create('box1');
  assert.match(await hook(['vm', 'start', 'box1', '--pid', String(started.pid)]), /"box1" is a container/);
  const asked = daemon.client.instances.start('box1', started.pid, 60);
  await assert.rejects(asked, /only a virtual machine has one/);
});

test('its CID is known after a restart, and is nobody else’s', async () => {
  const [first, second] = [await vmm(), await vmm()];
  assert.equal(await hook(['vm', 'start', 'kept1', '--pid', String(first.pid), '--cid', '70']), '');
  await daemon.takeOver();
  await daemon.end();
  await daemon.run();
  assert.equal((await daemon.client.instances.get('kept1')).config['volatile.vsock_id'], '70');
  const start = ['vm', 'start', 'kept2', '--pid', String(second.pid), '--cid', '70'];
  assert.match(await hook(start), /CID belongs to another/);
  await first.end();
  await eventually('it is stopped', async () => (await daemon.status('kept1')) === 'Stopped');
  assert.equal(await hook(start), '');
});

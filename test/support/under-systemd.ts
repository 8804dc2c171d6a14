// Runs inside a container that systemd has booted (boot-systemd.sh): the package under the systemd that it is made for.
// usage: under-systemd.js OLD.deb NEW.deb
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { HostClient, instancePath } from '../../src/cli/with-client.js';
import { Askers } from './askers.js';
import { eventually } from './eventually.js';
import { Guests } from './guest-processes.js';
import { ask } from './http.js';

const [older = '', newer = ''] = process.argv.slice(2);
const socket = '/run/devlxd/guest/sock';
const run = promisify(execFile);
const client = new HostClient('/run/devlxd');

/** A property of the service. */
function property(name: string): string {
  return execFileSync('systemctl', ['show', 'devlxd.service', '-p', name, '--value'], { encoding: 'utf8' }).trim();
}

async function register(name: string, pid: number, config: Readonly<Record<string, string>>): Promise<void> {
  await client.request('POST', '/1.0/instances', { name, config });
  await client.request('PUT', `${instancePath(name)}/state`, { action: 'start', pid });
}

async function version(): Promise<string> {
  const { environment } = (await client.request('GET', '/1.0')) as { environment: { server_version: string } };
  return environment.server_version;
}

async function install(file: string): Promise<void> {
  await run('dpkg', ['--force-depends', '-i', file]);
}

await install(older);
assert.deepEqual([property('ActiveState'), property('StatusText')], ['active', 'Answering']);
const units = ['devlxd.service', 'devlxd.socket', 'devlxd-control.socket', 'devlxd-metrics.socket'];
const { stderr: complaints } = await run('systemd-analyze', ['verify', '--man=no', ...units]);
assert.doesNotMatch(complaints, /devlxd/);

const guests = new Guests();
const askers = await Askers.start({ socket, register }, guests, 20);
assert.equal(await version(), '0.0.1');
for (let round = 0; round < 2; round++) {
  const before = property('MainPID');
  await run('systemctl', ['restart', 'devlxd.service']);
  assert.notEqual(property('MainPID'), before);
  await askers.more(100);
}
const running = property('MainPID');
appendFileSync('/etc/devlxd/devlxd.env', 'DEVLXD_LIMIT_CONNECTIONS=4321\nDEVLXD_LIMIT_HOLD_SECONDS=60\n');
await run('systemctl', ['reload', 'devlxd.service']);
await eventually('the limit has changed', async () => /^devlxd_connections_max 4321$/m.test(await client.metrics()));
appendFileSync('/etc/devlxd/devlxd.env', 'DEVLXD_LIMITS=0\n');
await run('systemctl', ['reload', 'devlxd.service']);
await eventually('the mistake is shown', () => property('StatusText').includes('there is no option DEVLXD_LIMITS'));
await run('sed', ['-i', '/DEVLXD_LIMITS=/d', '/etc/devlxd/devlxd.env']);
await run('systemctl', ['reload', 'devlxd.service']);
await eventually('it is well again', () => property('StatusText') === 'Answering');
assert.deepEqual([property('MainPID'), property('ActiveState')], [running, 'active']);
await install(newer);
await askers.more(100);
assert.equal(await version(), '9.9.9');
await askers.end();
assert.deepEqual(askers.failures, []);
assert.equal(property('NRestarts'), '0');

// The socket of the metrics, which a service without a network cannot make itself. docs/metrics.md begins with this.
assert.equal(property('PrivateNetwork'), 'yes');
await run('systemctl', ['stop', 'devlxd.service']);
await run('systemctl', ['enable', '--now', 'devlxd-metrics.socket']);
await run('systemctl', ['start', 'devlxd.service']);
async function scraped(method: string): Promise<string> {
  const answer = await fetch('http://127.0.0.1:9842/metrics', { method });
  const text = await answer.text();
  return answer.ok ? text : String(answer.status);
}
assert.match(await scraped('GET'), /^devlxd_build_info\{version="9\.9\.9",/m);
for (const method of ['PUT', 'POST', 'PATCH', 'DELETE']) assert.equal(await scraped(method), '405');
await run('systemctl', ['restart', 'devlxd.service']);
assert.match(await scraped('GET'), /^devlxd_build_info/m);

const guest = guests.one();
await register('c1', guest.pid, { 'user.mark': 'here' });
process.kill(Number(property('MainPID')), 'SIGKILL');
assert.equal((await ask(guest.connect(socket), '/1.0/config/user.mark')).body, 'here');
assert.equal(property('NRestarts'), '1');
// A guest that is held when the daemon is killed is held, and answered, by the next one; twice.
const early = guests.one();
const held = ask(early.connect(socket), '/1.0/config/user.mark');
const storedConnections = (): boolean => property('NFileDescriptorStore') !== '0';
for (const restarts of ['2', '3']) {
  await eventually('it lies in the descriptor store', storedConnections);
  process.kill(Number(property('MainPID')), 'SIGKILL');
  await eventually('it is started again', () => property('NRestarts') === restarts);
  await eventually('it answers', () => property('ActiveState') === 'active');
}
await register('c2', early.pid, { 'user.mark': 'early' });
assert.equal((await held).body, 'early');
await eventually('the descriptor store is empty', () => !storedConnections());
await client.close();
await guests.close();

const remove = async (): Promise<void> => {
  await run('dpkg', ['-r', 'devlxd']);
  await eventually('the sockets are gone', () => !existsSync(socket));
};
await remove();
await run('chown', ['root:', '/var/lib/devlxd/devlxd.db']); // as a daemon that root ran by hand leaves it
await install(newer);
assert.deepEqual([property('ActiveState'), property('StatusText')], ['active', 'Answering']);
await run('systemctl', ['stop', 'devlxd.socket', 'devlxd-control.socket', 'devlxd.service']);
await install(newer);
assert.equal(property('ActiveState'), 'inactive');
await remove();
appendFileSync('/etc/devlxd/devlxd.env', 'DEVLXD_BACKLOG=many\n');
await install(newer); // and does not fail
assert.notEqual(property('ActiveState'), 'active');
await remove();
await run('dpkg', ['-P', 'devlxd']);
for (const left of ['/var/lib/devlxd', '/run/devlxd', '/etc/devlxd', '/usr/lib/devlxd'])
  assert.ok(!existsSync(left), left);
process.stdout.write(`${askers.answered} answers, all is well\n`);

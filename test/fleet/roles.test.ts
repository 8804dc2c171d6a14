import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EtcdConnection } from '../../src/etcd/etcd-connection.js';
import { Certificates } from '../support/certificates.js';
import type { Ran } from '../support/command.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { fleetCommand } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';

/** With TLS and roles, a host sees its own part and nobody else's. */
const directory = mkdtempSync(join(tmpdir(), 'devlxd-pki-'));
let certificates: Certificates;
let etcd: Etcd;
const hosts: FleetHost[] = [];

before(async () => {
  if (needsEtcd.skip) return;
  chmodSync(directory, 0o755);
  certificates = new Certificates(directory);
  for (const name of ['server', 'root', 'stranger']) certificates.sign(name);
  const server = ['--cert-file', certificates.certificate('server'), '--key-file', certificates.key('server')];
  const clients = ['--trusted-ca-file', certificates.certificate('ca'), '--client-cert-auth'];
  etcd = await Etcd.start({ scheme: 'https', more: () => [...server, ...clients], environment: as('root') });
  etcd.does('user', 'add', 'root', '--no-password');
  etcd.does('user', 'grant-role', 'root', 'root');
  for (const host of ['a', 'b']) addHost(host);
  addOperator('operator');
  etcd.does('auth', 'enable');
  addHost('a'); // and what is there already stays
});

after(async () => {
  for (const host of hosts) await host.remove();
  await etcd?.remove();
  rmSync(directory, { recursive: true, force: true });
});

/** What makes etcdctl one user. */
function as(name: string): NodeJS.ProcessEnv {
  return {
    ETCDCTL_CACERT: certificates.certificate('ca'),
    ETCDCTL_CERT: certificates.certificate(name),
    ETCDCTL_KEY: certificates.key(name),
  };
}

/** A command with a certificate. */
function devlxd(name: string, ...words: string[]): Ran {
  const [cert, key] = [certificates.certificate(name), certificates.key(name)];
  const tls = ['--etcd-ca', certificates.certificate('ca'), '--etcd-cert', cert, '--etcd-key', key];
  return fleetCommand(etcd, [...tls, ...words]);
}

/** The key and the request are made by the command, and signed here. */
function addHost(host: string): void {
  const { status, stderr, stdout } = devlxd('root', 'fleet', 'add-host', host, '--output', directory);
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /--etcd-host/);
  certificates.signRequest(host);
}

/** As docs/fleet.md says of operators. */
function addOperator(name: string): void {
  certificates.sign(name);
  etcd.does('user', 'add', name, '--no-password');
  etcd.does('role', 'add', 'operator');
  etcd.does('user', 'grant-role', name, 'operator');
  for (const part of ['host', 'shared', 'place'])
    etcd.does('role', 'grant-permission', 'operator', '--prefix=true', 'readwrite', `/devlxd/${part}/`);
  etcd.does('role', 'grant-permission', 'operator', '--prefix=true', 'read', '/devlxd/status/');
}

async function started(name: string, certificate = name): Promise<FleetHost> {
  const [cert, key] = [certificates.certificate(certificate), certificates.key(certificate)];
  const tls = ['--etcd-ca', certificates.certificate('ca'), '--etcd-cert', cert, '--etcd-key', key];
  const host = await FleetHost.start(etcd, name, tls);
  hosts.push(host);
  return host;
}

test('a host follows with its certificate, and has its own instances alone', needsEtcd, async () => {
  etcd.put('shared/profile/default/web', { config: { 'user.p': 'all' } });
  etcd.put('host/b/instance/default/secret', { config: { 'user.a': 'of b' } });
  const [a, b] = [await started('a'), await started('b')];
  const guest = await a.running('c1', { profiles: ['web'], config: { 'user.a': 'of a' } });
  assert.equal(await a.answer(guest, 'user.p'), 'all');
  await b.until('secret', 'Stopped');
  assert.equal(await a.status('secret'), 'none');
  await eventually('its status is there', () => etcd.get('status/a/instance/default/c1') !== '');
});

test("etcdctl with a host's certificate is refused what is another's", needsEtcd, () => {
  const run = (...words: string[]) => etcd.runAs(as('a'), ...words);
  assert.equal(run('get', '--prefix', '/devlxd/host/a/').status, 0);
  assert.equal(run('get', '--prefix', '/devlxd/shared/').status, 0);
  for (const words of [
    ['get', '--prefix', '/devlxd/host/b/'],
    ['get', '--prefix', '/devlxd/'],
    ['put', '/devlxd/host/a/instance/default/x', '{}'],
    ['put', '/devlxd/shared/profile/default/web', '{}'],
    ['put', '/devlxd/status/b/host', '{}'],
  ])
    assert.match(run(...words).stderr, /permission denied/, words.join(' '));
});

test("a daemon with another host's certificate, or a stranger's, follows nothing", needsEtcd, async () => {
  for (const [name, certificate] of [
    ['c', 'a'],
    ['d', 'stranger'],
  ] as const) {
    const host = await started(name, certificate);
    await eventually(`${name} is refused`, async () => (await host.source()).away !== '');
    assert.equal(await host.daemon.metric('devlxd_source_connected'), 0);
    assert.match((await host.source()).away, /PERMISSION_DENIED|permission denied|UNAUTHENTICATED|user name/i);
    assert.deepEqual(await host.daemon.client.instances.list(), []);
  }
});

test('a member that another authority has signed is not spoken to', needsEtcd, async () => {
  const tls = ['--etcd-ca', certificates.certificate('stranger')];
  const host = await FleetHost.start(etcd, 'a', tls);
  hosts.push(host);
  await eventually('it is away', async () => (await host.source()).away !== '');
  assert.equal(await host.daemon.metric('devlxd_source_connected'), 0);
});

test('what is wrong with a certificate is told with the option that mends it', needsEtcd, async () => {
  certificates.sign('late', -1);
  const file = (name: string) => certificates.certificate(name);
  const good = { ca: file('ca'), cert: file('root'), key: certificates.key('root') };
  const reason = async (tls: Partial<typeof good> | undefined): Promise<string> => {
    const setting = { endpoints: [], prefix: '/devlxd/', tls: tls && { ...good, ...tls } };
    let connection: EtcdConnection | undefined;
    try {
      connection = new EtcdConnection(etcd.endpoints, setting);
      await connection.now('/devlxd/');
      return '';
    } catch (error) {
      return (error as Error).message;
    } finally {
      connection?.close();
    }
  };
  for (const [tls, words] of [
    [{}, /^$/],
    [undefined, /^UNAVAILABLE: .*; it may want TLS: --etcd-ca$/],
    [{ cert: '', key: '' }, /it asks for --etcd-cert$/],
    [{ ca: file('stranger') }, /--etcd-ca does not have its authority$/],
    [{ cert: file('late'), key: certificates.key('late') }, /--etcd-cert was valid until /],
    [{ ca: '/nowhere.pem' }, /^--etcd-ca: ENOENT: .*nowhere\.pem/],
    [{ ca: certificates.key('ca') }, /^--etcd-ca: \S+ does not have certificates in PEM$/],
    [{ cert: certificates.key('root') }, /^--etcd-cert: \S+ does not have certificates in PEM$/],
    [{ key: file('root') }, /^--etcd-key: \S+ does not have a private key without a password in PEM$/],
    [{ key: certificates.key('stranger') }, /^--etcd-key: \S+ is not the key of --etcd-cert$/],
  ] as const)
    assert.match(await reason(tls), words);
  assert.match(
    devlxd('nobody', 'fleet', 'hosts').stderr,
    /^devlxd: --etcd-cert: ENOENT: no such file or directory, open '\S+nobody\.crt'\.\n$/,
  );
  const long = devlxd('root', 'fleet', 'add-host', 'x'.repeat(65), '--output', directory);
  assert.match(long.stderr, /at most 64 characters/);
  const nowhere = devlxd('root', 'fleet', 'add-host', 'y', '--output', join(directory, 'none'));
  assert.match(nowhere.stderr, /openssl, which makes the key/);
  assert.doesNotMatch(etcd.does('user', 'list'), /^[xy]/m);
});

test('an operator without other rights than those of the fleet changes it', needsEtcd, async () => {
  const [a] = hosts;
  const created = devlxd('operator', 'create', 'c2', 'user.a=1', '--target', 'a', '--wait');
  assert.deepEqual([created.status, created.stderr], [0, '']);
  assert.equal(await a?.status('c2'), 'Stopped');
  assert.match(devlxd('operator', 'fleet', 'hosts').stdout, /^a +in step/m);
  assert.match(devlxd('a', 'list').stderr, /permission denied/);
  const keys = JSON.parse(devlxd('operator', 'identity', 'keys').stdout) as { keys: object[] };
  const own = await a?.daemon.client.identity.keys();
  assert.ok(own !== undefined && own.keys.length > 0);
  for (const key of own.keys) assert.ok(keys.keys.some((each) => JSON.stringify(each) === JSON.stringify(key)));
});

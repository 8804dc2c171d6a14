// Runs inside a container that systemd has booted (boot-systemd.sh): the package's drop-ins for LXD and Incus, with all
// of the unit's sandbox, beside the daemons that they are for.
// usage: source-under-systemd.js PACKAGE.deb lxd|incus [ROOT]    ROOT: of unpacked packages, which are laid over this root
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { get } from 'node:http';
import { HostClient } from '../../src/cli/with-client.js';
import { dialects } from '../../src/config/dialects.js';
import { metricValue, samplesOf } from '../../src/metrics/exposition.js';
import type { PeerName } from '../../src/model/instance.js';
import { makeImage, preseed } from '../lxd/rig.js';
import { eventually } from './eventually.js';

const [file = '', name = '', root = ''] = process.argv.slice(2);
const { guestDirectory } = dialects[name as PeerName];
const directory = `/var/lib/${name}/${guestDirectory}`;
const client = new HostClient('/run/devlxd');

const run = (program: string, ...words: string[]): string =>
  execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const property = (unit: string, wanted: string): string =>
  run('systemctl', 'show', unit, '-p', wanted, '--value').trim();
const taken = async (): Promise<boolean> =>
  metricValue(samplesOf(await client.metrics().catch(() => '')), 'devlxd_source_socket_taken') === 1;
const isTaken = (): Promise<void> => eventually('the socket is taken', taken, 120);

/** Who answers on the guests' socket. */
function whoAnswers(): Promise<string> {
  return new Promise((resolve) => {
    get({ socketPath: `${directory}/sock`, path: '/', headers: { host: 'lxd' }, agent: false }, (response) => {
      response.resume();
      resolve(response.headers['uwebsockets'] === undefined ? name : 'devlxd');
    }).on('error', ({ message }) => resolve(message));
  });
}

const { tool } = dialects[name as PeerName];

function startContainer(): void {
  mkdirSync('/root/peer');
  const input = preseed;
  const [program, ...init] = name === 'lxd' ? ['lxd', 'init', '--preseed'] : ['incus', 'admin', 'init', '--preseed'];
  execFileSync(program as string, init, { input, stdio: ['pipe', 'inherit', 'inherit'] });
  run(tool, 'image', 'import', makeImage('/root/peer/image'), '--alias', 'tiny');
  run(tool, 'launch', 'tiny', 'c1', '-q', '-c', 'user.mark=mark of c1');
}

/** By devlxd, in the container. */
async function isAnswered(): Promise<void> {
  const socket = `/dev/${name}/sock`;
  const ask = ['exec', 'c1', '--', 'curl', '-si', '--unix-socket', socket, 'http://x/1.0/config/user.mark'];
  await eventually(
    'the container is answered',
    () => {
      const { stdout } = spawnSync(tool, ask, { encoding: 'utf8' });
      return /^uWebSockets:/m.test(stdout) && stdout.endsWith('\r\n\r\nmark of c1');
    },
    60,
  );
}

if (root !== '') {
  run('cp', '-a', `${root}/.`, '/');
  run('groupadd', '-f', 'incus-admin'); // as its package does
  run('systemctl', 'daemon-reload');
  for (const ids of ['/etc/subuid', '/etc/subgid'])
    run('sh', '-c', `grep -q ^root: ${ids} || echo root:1000000:1000000000 >>${ids}`);
}
run('dpkg', '--force-depends', '-i', file);
run('systemctl', 'start', `${name}.service`);
const dropIn = `/usr/share/doc/devlxd/packaging/${name}.conf`;
run('install', '-D', '-m', '644', dropIn, `/etc/systemd/system/devlxd.service.d/${name}.conf`);
run('systemctl', 'daemon-reload');
run('systemctl', 'restart', 'devlxd.service');
await isTaken();
assert.equal(await whoAnswers(), 'devlxd');
startContainer();
await isAnswered();
const metric = samplesOf(await client.metrics()).find((one) => one.name === 'devlxd_source_socket_taken');
assert.equal(metric?.labels['path'], `/proc/${property(`${name}.service`, 'MainPID')}/root${directory}/sock`);
const check = spawnSync('devlxd', ['check'], { encoding: 'utf8' });
assert.match(check.stdout, /^ok +source's guest socket: taken, /m);
assert.match(check.stdout, /^ok +source: connected/m);
for (const sandbox of [
  'ProtectSystem=strict',
  'PrivateNetwork=yes',
  'NoNewPrivileges=yes',
  'ProtectProc=invisible',
  'User=devlxd',
])
  assert.equal(property('devlxd.service', sandbox.split('=')[0] as string), sandbox.split('=')[1]);

run('systemctl', 'restart', `${name}.service`);
await eventually(
  `it is ${name}'s process that runs now`,
  async () => {
    const path = `/proc/${property(`${name}.service`, 'MainPID')}/root`;
    return (await client.metrics()).includes(`devlxd_source_socket_taken{path="${path}`) && (await taken());
  },
  120,
);
assert.equal(await whoAnswers(), 'devlxd');
run('systemctl', 'restart', 'devlxd.service');
await isTaken();
assert.equal(await whoAnswers(), 'devlxd');
await isAnswered();
// devlxd first, while the other is away: its directory on the host is writable by the drop-in.
run('systemctl', 'stop', `${name}.service`);
run('systemctl', 'restart', 'devlxd.service');
run('systemctl', 'start', `${name}.service`);
await isTaken();
await eventually('devlxd answers', async () => (await whoAnswers()) === 'devlxd', 60);
run('systemctl', 'stop', 'devlxd.service', 'devlxd.socket', 'devlxd-control.socket');
assert.equal(await whoAnswers(), name);
assert.deepEqual(readdirSync(directory), ['sock']);
const log = run('journalctl', '-u', 'devlxd.service', '-o', 'cat');
const errors = log.split('\n').filter((line) => /"level":[56]0|^<3>/.test(line));
await client.close();
assert.ok(existsSync('/run/systemd/system'));
process.stdout.write(`${errors.join('\n')}\n${check.stdout}\n${name}: all is well\n`);

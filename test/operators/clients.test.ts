import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { socketPaths } from '../../src/config/paths.js';
import { unpackedFrom } from '../clients/unpacked.js';
import { checkTable, type Result } from '../support/client-table.js';
import { TestDaemon } from '../support/daemon.js';
import { Guests } from '../support/guest-processes.js';
import { ask } from '../support/http.js';

interface Client {
  readonly name: 'incus' | 'lxc';
  readonly version: string;
  readonly suite: string;
  readonly packages: readonly string[];
  /** the command, in the directory with the unpacked packages */
  readonly command: (directory: string) => string[];
}

// Of a newer release than this host's the C library comes along, with its own loader.
const loader = (directory: string, program: string): string[] => {
  const libraries = `${directory}/usr/lib/x86_64-linux-gnu`;
  return [`${libraries}/ld-linux-x86-64.so.2`, '--library-path', libraries, `${directory}/usr/bin/${program}`];
};

const clients: Client[] = [
  {
    name: 'lxc',
    version: '5.0.2',
    suite: 'bookworm',
    packages: ['lxd-client'],
    command: (directory) => [`${directory}/usr/bin/lxc`],
  },
  {
    name: 'lxc',
    version: '5.0.2+git20231211',
    suite: 'trixie',
    packages: ['lxd-client', 'libc6'],
    command: (directory) => loader(directory, 'lxc'),
  },
  {
    name: 'incus',
    version: '6.0.4',
    suite: 'bookworm-backports',
    packages: ['incus-client'],
    command: (directory) => [`${directory}/usr/bin/incus`],
  },
  {
    name: 'incus',
    version: '7.0.2',
    suite: 'sid',
    packages: ['incus-client', 'libc6'],
    command: (directory) => loader(directory, 'incus'),
  },
];

/** What is run, in this order, what it prints, and its exit code. docs/host-api.md has one row for each. */
const commands: readonly [words: string, prints: RegExp, code?: number, only?: 'incus' | 'lxc'][] = [
  ['init --empty c1 -c user.x=1', /^Creating c1\n/],
  ['create --empty c2', /^Creating c2\n/, 0, 'incus'],
  ['init --empty c2', /^Creating c2\n/, 0, 'lxc'],
  ['list --format csv --columns n,s', /^c1,STOPPED\nc2,STOPPED\nruns,READY\n$/],
  ['list --format csv --columns n status=ready', /^runs\n$/],
  ['config set c1 user.a=1 security.guestapi=true', /^$/],
  ['config get c1 user.a', /^1\n$/],
  ['config unset c1 user.a', /^$/],
  ['config show c1', /^architecture: .*\nconfig:\n {2}security\.guestapi: "true"\n {2}user\.x: "1"\n/],
  ['config set c1 nonsense=1', /^Error: config\.nonsense: Unknown configuration key; do you mean/, 1],
  ['config device add c1 data disk source=/srv path=/data', /^Device data added to c1\n$/],
  ['config device show c1', /^data:\n +path: \/data\n/],
  ['config device remove c1 data', /^Device data removed from c1\n$/],
  ['profile create web', /^Profile web created\n$/],
  ['profile set web user.role=web', /^$/],
  ['profile add c1 web', /^Profile web added to c1\n$/],
  ['profile show web', /^config:\n {2}user\.role: web\n[\s\S]*\/1\.0\/instances\/c1\n/],
  ['profile remove c1 web', /^Profile web removed from c1\n$/],
  ['profile delete web', /^Profile web deleted\n$/],
  ['rename c1 c3', /^$/],
  ['move c3 c4', /^$/],
  ['info c4', /^Name: c4\n(?:Description: \n)?Status: STOPPED\nType: container\n/],
  ['info runs', /\nStatus: READY\n[\s\S]*\nPID: \d+\n/],
  ['query /1.0/instances/c4', /"name": "c4"/],
  ['project create blue', /^Project blue created\n$/],
  ['project list --format csv', /^blue,NO,YES,/],
  ['project delete blue', /^Project blue deleted\n$/],
  ['operation list --format csv', /,TASK,Renaming instance,SUCCESS,NO,/],
  ['network list --format csv', /^(?:.*\n)*lo,loopback,NO,/, 0, 'incus'],
  ['network list --format csv', /^(?:[^,]+,[a-z]+,NO,.*\n)*$/, 0, 'lxc'], // it leaves lo out
  ['start c4', /^Error: pid: is missing: devlxd starts no containers/, 1],
  ['exec c4 true', /^Error: devlxd has no "\/1\.0\/instances\/c4\/exec"/, 1],
  ['copy c4 c5', /^Error: source\.type: devlxd makes no root file systems/, 1],
  ['stop runs', /^$/],
  ['delete c4 c2 runs', /^$/],
];

for (const { name, version, suite, packages, command } of clients) {
  const { directory, problem } = unpackedFrom(suite, `${name}-${suite}`, packages);

  test(`${name} ${version}: each command prints what it should`, { skip: problem ?? false }, async () => {
    const home = mkdtempSync(join(tmpdir(), 'devlxd-client-'));
    const daemon = await TestDaemon.start();
    const guests = new Guests();
    const [program = '', ...first] = command(directory);
    const env = {
      PATH: process.env['PATH'],
      HOME: home,
      INCUS_CONF: home,
      INCUS_SOCKET: socketPaths(daemon.runDir).control,
      LXD_CONF: home,
      LXD_SOCKET: socketPaths(daemon.runDir).control,
    };
    writeFileSync(join(home, 'config.yml'), '{}\n'); // without it the client speaks of how to begin
    const run = (words: string) => {
      const { status, stdout, stderr } = spawnSync(program, [...first, ...words.split(' ')], {
        encoding: 'utf8',
        env,
        input: '',
        timeout: 60_000,
      });
      return { status, out: stdout + stderr };
    };
    try {
      const guest = guests.one();
      await daemon.register('runs', guest.pid);
      await ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: '{"state":"Ready"}' });
      assert.ok(run('--version').out.startsWith(version.split('.', 1)[0] ?? ''), 'the version');
      const own = commands.filter(([, , , only]) => only === undefined || only === name);
      for (const [words, prints, code = 0] of own) {
        const { status, out } = run(words);
        assert.equal(status, code, `${name} ${words}: ${out}`);
        assert.match(out, prints, `${name} ${words}`);
      }
      const result = (code = 0): Result => (code === 0 ? 'works' : 'an error that says what to do');
      checkTable(
        name,
        version,
        own.map(([words, , code]) => [words, result(code)]),
      );
    } finally {
      await guests.close();
      await daemon.remove();
      rmSync(home, { recursive: true });
    }
  });
}

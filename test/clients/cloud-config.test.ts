// ssh keys in cloud-config, as guests read it: PyYAML and cloud-init's own code, of several releases.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Refusal } from '../../src/instances/cloud-init/refusal.js';
import { withKeys } from '../../src/instances/cloud-init/with-keys.js';
import { TestDaemon } from '../support/daemon.js';
import { guestsCannotRead } from '../support/other-users.js';
import { debianCloudInit } from './debian-cloud-init.js';
import { nextBoot, programs } from './next-boot.js';
import { unpackedFrom } from './unpacked.js';

const sshKey = 'ssh-ed25519 ONLY me';

/** After #cloud-config: small, and each went wrong once or might. */
const small = [
  'users:\n- name: root\n  ssh_authorized_keys: &ops\n  - ssh-rsa OPS ops\n- name: guestftp\n  ssh_authorized_keys: *ops\n',
  'users:\n- &base\n  name: root\n  shell: /bin/sh\n- <<: *base\n  name: intern\n',
  'write_files:\n- path: /etc/k\n  permissions: 0644\n  content: x\n',
  'a: yes\nb: 12:30\nc: 1e3\nd: 0o17\ne: 2001-12-14\nf: !!binary aGk=\n',
  'users:\n- default\n- root # me\n- name: ops\n  uid: 0o12\n',
  'users: [default, {name: root, shell: /bin/sh}]\n',
  'users:\n- name: x\n  ssh_authorized_keys: &o [ssh-rsa A a]\n- name: root\n  ssh_authorized_keys: *o\n',
  'users:\n- name: root\n  ssh-authorized-keys: ssh-rsa A a\n',
  'users:\n- name: root\n  ssh_authorized_keys: |\n    ssh-rsa A a\n',
  'd: &d\n  ssh_authorized_keys: [ssh-rsa A a]\nusers:\n- <<: *d\n  name: root\n- <<: *d\n  name: ops\n',
  'x: &u\n  name: root\n  shell: /bin/sh\nusers:\n- *u\n- ops\n',
  'users:\n- name: ops\n  gecos: |\n    x',
  'users:\n- name: root\n  gecos: >-\n    a\n    b\n\n# end\nb: 1\n',
  '---\n{a: 1}\n',
  'users:\n- ? name\n  : root\n',
  'users: ~\n',
  '{"users":[{"name":"root","ssh_authorized_keys":null,"uid":0},"x"]}\n',
  'users: [&a {name: root, uid: 0}, {<<: *a, name: c}]\nruncmd: [[ls, -l], "a?b"]\n',
  'runcmd:\n- echo a\tb\nusers:\n- root\n',
  'runcmd: [curl, http://lxd/?a]\nusers:\n- root\n',
  '',
];

/** What is put into documents, or left out of them, at any place. */
const odd = [
  '\t',
  ' ',
  '\n',
  '\r',
  ':',
  '- ',
  '#',
  '"',
  "'",
  '[',
  ']',
  '{',
  '}',
  ',',
  '&a ',
  '*a',
  '<<: ',
  '|',
  '>',
  '~',
];
const odder = [
  '? ',
  '!!str ',
  '!',
  '%',
  '@',
  '---\n',
  '\u00a0',
  '\\',
  '0',
  'users:',
  '  ',
  'name: root',
  '=',
  'null',
  'é',
];

/** The same in each run. */
function mangled(): string[] {
  const change = fc.record({ at: fc.nat(300), gone: fc.nat(2), put: fc.constantFrom('', ...odd, ...odder) });
  const one = fc.tuple(fc.constantFrom(...small), fc.array(change, { minLength: 1, maxLength: 3 }));
  return fc.sample(one, { seed: 18, numRuns: 200 }).map(([document, changes]) =>
    changes.reduce((text, { at, gone, put }) => {
      const from = at % (text.length + 1);
      return `${text.slice(0, from)}${put}${text.slice(from + gone)}`;
    }, document),
  );
}

const releases = [
  { name: 'bookworm', ...debianCloudInit() },
  { name: 'trixie', ...unpackedFrom('trixie', 'cloud-init-trixie', ['cloud-init']) },
  { name: 'sid', ...unpackedFrom('sid', 'cloud-init-sid', ['cloud-init']) },
];
const { directory: bookworm } = debianCloudInit();

function examples(): string[] {
  const folder = join(bookworm, 'usr/share/doc/cloud-init/examples');
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => ({ name, bytes: readFileSync(join(folder, name)) }))
    .map(({ name, bytes }) => (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8'));
}

/** undefined: it stays as it is */
function merged(text: string, user: string): string | undefined {
  try {
    return withKeys(text, [{ user, publicKeys: [sshKey], importIds: [] }], false);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

let pairsOfAll: unknown[] | undefined;

/** Before, after, the user and its keys: the same for each release. */
function mergedPairs(): unknown[] {
  pairsOfAll ??= [...[...small, ...mangled()].map((body) => `#cloud-config\n${body}`), ...examples()].flatMap(
    (before) =>
      ['root', 'foobar'].flatMap((user) => {
        const after = merged(before, user);
        return after === undefined ? [] : [[before, after, user, [sshKey]]];
      }),
  );
  return pairsOfAll;
}

for (const { name, directory, problem } of releases) {
  const python = [directory, bookworm].map((root) => join(root, 'usr/lib/python3/dist-packages')).join(':');
  const environment = { PYTHONPATH: python, PYTHONDONTWRITEBYTECODE: '1' };

  /** Whatever it prints, both ways. */
  function runs(words: readonly string[], input = ''): string {
    const options = { encoding: 'utf8', env: environment, input } as const;
    const { stdout, stderr, status } = spawnSync('/usr/bin/python3', words, options);
    assert.equal(status, 0, `${stdout}${stderr}`);
    return `${stdout}${stderr}`;
  }

  describe(`cloud-init of ${name}`, { skip: problem ?? releases[0]?.problem ?? guestsCannotRead }, () => {
    test('reads the same as before, but for the keys of the one user', () => {
      const pairs = mergedPairs();
      assert.ok(pairs.length > 150, `${pairs.length} are merged`);
      assert.equal(runs([join(programs, 'compare-cloud-config.py'), directory], JSON.stringify(pairs)), '');
    });

    test('finds nothing obsolete in what is inserted', () => {
      const file = join(mkdtempSync(join(tmpdir(), 'devlxd-schema-')), 'config.yaml');
      for (const body of ['', 'users:\n- default\n- root\n', 'users: [default]\npackages: [vim]\n']) {
        writeFileSync(file, merged(`#cloud-config\n${body}`, 'root') ?? '');
        assert.match(
          runs(['-m', 'cloudinit.cmd.main', 'schema', '--config-file', file]),
          /^Valid (schema|cloud-config)/,
        );
      }
      rmSync(dirname(file), { recursive: true });
    });

    test('finds the keys in the vendor-data, and nothing to warn of', async () => {
      const daemon = await TestDaemon.start();
      try {
        await daemon.create('c1', {
          'cloud-init.ssh-keys.a': `root:${sshKey}`,
          'user.user-data': '#cloud-config\na: 1\n',
        });
        const command = ['/usr/bin/python3', '-m', 'cloudinit.sources.DataSourceLXD'];
        const { code, stdout, stderr } = await nextBoot(daemon, 'c1', { command, environment });
        assert.deepEqual([code, stderr], [0, '']);
        const found = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
        assert.equal(found['vendor-data'], merged('', 'root'));
        assert.equal(found['user-data'], merged('#cloud-config\na: 1\n', 'root'));
      } finally {
        await daemon.remove();
      }
    });
  });
}

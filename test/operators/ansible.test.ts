// Ansible's modules for LXD (community.general), as Debian packages them, and its inventory plugin.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { socketPaths } from '../../src/config/paths.js';
import { packageRoot } from '../../src/package-root.js';
import { unpackedFrom } from '../clients/unpacked.js';
import { checkTable, type Result } from '../support/client-table.js';
import { TestDaemon } from '../support/daemon.js';
import { Guests } from '../support/guest-processes.js';

const modules = 'cffi-backend cryptography dateutil jinja2 markupsafe packaging resolvelib six yaml'.split(' ');
const packages = ['ansible', 'ansible-core', ...modules.map((name) => `python3-${name}`)];
const { directory, problem } = unpackedFrom('bookworm', 'ansible-bookworm', packages);
const python = `${directory}/usr/lib/python3/dist-packages`;

/** It is made for the Python of its release. */
function reason(): string | false {
  if (problem !== undefined) return problem;
  const { status, stderr } = ran(tmpdir(), ['-c', 'import ansible.cli']);
  return status === 0 ? false : `this host's Python cannot load Ansible: ${stderr.trim().split('\n').at(-1)}`;
}

function ran(home: string, words: readonly string[]) {
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    LANG: 'C.UTF-8',
    PYTHONPATH: python,
    ANSIBLE_COLLECTIONS_PATH: python,
    ANSIBLE_STDOUT_CALLBACK: 'ansible.posix.json',
  };
  return spawnSync('/usr/bin/python3', words, { encoding: 'utf8', env, timeout: 300_000 });
}

interface Told {
  readonly task: { readonly name: string };
  readonly hosts: {
    readonly localhost: { readonly changed: boolean; readonly failed?: boolean; readonly msg?: string };
  };
}

function resultOf({ task, hosts: { localhost: told } }: Told): [string, Result] {
  if (!told.failed) return [task.name, told.changed ? 'works' : 'nothing to change'];
  assert.match(told.msg ?? '', /devlxd starts no containers/, task.name);
  return [task.name, 'an error that says what to do'];
}

test('Ansible: each task says what it should, and the inventory has what runs', { skip: reason() }, async () => {
  const home = mkdtempSync(join(tmpdir(), 'devlxd-ansible-'));
  const daemon = await TestDaemon.start();
  const guests = new Guests();
  const program = (name: string): string => join(directory, 'usr/bin', name);
  const socket = `unix:${socketPaths(daemon.runDir).control}`;
  try {
    await daemon.register('runs', guests.one().pid);
    await daemon.create('stands');
    const list = join(home, 'host.lxd.yml');
    writeFileSync(list, `plugin: community.general.lxd\nurl: ${socket}\nsnap_url: ${socket}\nstate: RUNNING\n`);
    const inventory = ran(home, [program('ansible-inventory'), '-i', list, '--list']);
    const { hostvars } = JSON.parse(inventory.stdout || '{}')._meta;
    assert.deepEqual(Object.keys(hostvars), ['runs'], inventory.stderr);
    const tasks = join(packageRoot, 'test/support/ansible-tasks.yml');
    const variables = JSON.stringify({ socket, ansible_python_interpreter: '/usr/bin/python3' });
    const words = [program('ansible-playbook'), '-i', 'localhost,', '-e', variables, tasks];
    const { stdout, stderr, status } = ran(home, words);
    assert.equal(status, 0, `${stdout}${stderr}`);
    const told: Told[] = JSON.parse(stdout.slice(stdout.indexOf('{'))).plays[0].tasks;
    const rows = [...told.map(resultOf), ['inventory: what runs', 'works'] as [string, Result]];
    checkTable('Ansible', '7.7.0', rows);
    assert.equal(rows.filter(([, result]) => result === 'nothing to change').length, 4);
  } finally {
    await guests.close();
    await daemon.remove();
    rmSync(home, { recursive: true });
  }
});

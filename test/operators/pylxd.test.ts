import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { socketPaths } from '../../src/config/paths.js';
import { packageRoot } from '../../src/package-root.js';
import { unpackedFrom } from '../clients/unpacked.js';
import { checkTable, type Result } from '../support/client-table.js';
import { TestDaemon } from '../support/daemon.js';

const packages = [
  'pylxd',
  'bcrypt',
  'certifi',
  'cffi-backend',
  'chardet',
  'charset-normalizer',
  'cryptography',
  'dateutil',
  'idna',
  'pbr',
  'requests',
  'requests-toolbelt',
  'requests-unixsocket',
  'six',
  'urllib3',
  'ws4py',
].map((name) => `python3-${name}`);

const { directory, problem } = unpackedFrom('bookworm', 'pylxd-bookworm', packages);

/** It is made for the Python of its release. */
function reason(): string | false {
  if (problem !== undefined) return problem;
  const { status, stderr } = python('-c', 'import pylxd');
  return status === 0 ? false : `this host's Python cannot load pylxd: ${stderr.trim().split('\n').at(-1)}`;
}

function python(...words: string[]) {
  const env = { ...process.env, PYTHONPATH: `${directory}/usr/lib/python3/dist-packages`, PYTHONWARNINGS: 'ignore' };
  return spawnSync('/usr/bin/python3', words, { encoding: 'utf8', env, timeout: 60_000 });
}

test("Debian 12's pylxd: the life of a container, its profile, and the networks", { skip: reason() }, async () => {
  const daemon = await TestDaemon.start();
  try {
    const script = join(packageRoot, 'test/support/pylxd-life.py');
    const { stdout, stderr } = python(script, socketPaths(daemon.runDir).control);
    assert.deepEqual(
      [stdout.split('\n'), stderr],
      [
        [
          'host devlxd',
          'created p1 Stopped',
          'saved 2',
          "all ['p1'] ['p1']",
          "profile {'user.role': 'web'}",
          'expanded web',
          'renamed True',
          'state Stopped',
          'networks True',
          'deleted False',
          '',
        ],
        '',
      ],
    );
    const calls =
      'containers.create, containers.get, container.save, containers.all, profiles.create, container.rename';
    const more = 'container.state, networks.all, container.delete, profile.delete';
    checkTable(
      'pylxd',
      '2.2.10',
      `${calls}, ${more}`.split(', ').map((call): [string, Result] => [call, 'works']),
    );
  } finally {
    await daemon.remove();
  }
});

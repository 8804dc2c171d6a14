import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { binary } from './support/command.js';

test('where user namespaces are refused, the demo says so in sentences and leaves nothing', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-refused-'));
  try {
    const temporary = join(directory, 'tmp');
    const runDir = join(directory, 'run');
    mkdirSync(temporary);
    // The limit is each user namespace's own: the host keeps its.
    const script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"';
    const demo = [process.execPath, binary, 'demo', '--run-dir', runDir];
    const { status, stderr } = spawnSync('unshare', ['--user', '--map-root-user', 'sh', '-c', script, 'sh', ...demo], {
      encoding: 'utf8',
      env: { ...process.env, TMPDIR: temporary },
    });
    if (/^unshare: /m.test(stderr)) return t.skip('needs a user namespace to refuse others in');
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^devlxd: The guest ended before it began; the line above says why\.$/m);
    assert.doesNotMatch(stderr, /EPIPE|^ +at /m);
    assert.deepEqual([readdirSync(temporary), existsSync(runDir)], [[], false]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

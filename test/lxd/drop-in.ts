// The package's drop-ins under a real systemd, beside the daemons that they are for.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../src/package-root.js';
import type { Flavour } from './flavour.js';
import { missingForRig } from './rig.js';

/** unpacked: where the daemon's packages are, if they are not installed */
export function dropIn(flavour: Flavour, unpacked = ''): void {
  const files = ['/usr/bin/systemd-nspawn', '/sbin/init', '/usr/bin/node', '/usr/bin/dpkg-deb'];
  const without = files.filter((file) => !existsSync(file));
  const missing = without.length > 0 ? `needs ${without.join(', ')}` : missingForRig(flavour);
  test(`packaging/${flavour.source}.conf, under systemd with the whole sandbox`, { skip: missing ?? false }, () => {
    const scratch = mkdtempSync(join(tmpdir(), 'devlxd-drop-in-'));
    try {
      chmodSync(scratch, 0o755);
      const own = join(scratch, 'booted');
      mkdirSync(own);
      const build = [join(packageRoot, 'scripts/build-deb.mjs'), '--fast', '--output', scratch, '--version', '9.9.9'];
      const file = spawnSync(process.execPath, build, { encoding: 'utf8' }).stdout.trim();
      const program = join(packageRoot, 'dist/test/support/source-under-systemd.js');
      const words = [program, join('/root/packages', basename(file)), flavour.source, unpacked];
      const script = join(packageRoot, 'test/support/boot-systemd.sh');
      const booted = [own, packageRoot, scratch, `devlxd-drop-in-${process.pid}`, '/usr/bin/node', ...words];
      const { stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', script, ...booted], { encoding: 'utf8' });
      assert.match(stdout, new RegExp(`^${flavour.source}: all is well$`, 'm'), stdout + stderr);
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
}

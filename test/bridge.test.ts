import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { testBridge } from '../src/gate/self-test.js';
import { packageRoot } from '../src/package-root.js';

test('the self-test passes with the build that is installed', () => testBridge());

test('the addon has exactly the members that src/gate/addon.ts describes', () => {
  const addon = createRequire(import.meta.url)(join(packageRoot, 'build/Release/devlxd.node')) as Record<
    string,
    unknown
  >;
  assert.deepEqual(Object.keys(addon).sort(), [
    'ControlListener',
    'Gate',
    'bestIdentityMethod',
    'connectUnix',
    'duplicate',
    'identityMethods',
    'isConnection',
    'listenUnix',
    'listens',
    'notifyManager',
    'receiveMessage',
    'sendFile',
    'sendMessage',
  ]);
  const members = (name: string) => Object.getOwnPropertyNames((addon[name] as { prototype: object }).prototype).sort();
  const source = readFileSync(join(packageRoot, 'src/gate/addon.ts'), 'utf8');
  for (const name of ['Gate', 'ControlListener']) {
    const declared = new RegExp(`interface Native${name} \\{([^}]*)\\}`).exec(source)?.[1] ?? '';
    const names = [...declared.matchAll(/^ {2}(\w+)\(/gm)].map(([, member]) => member);
    assert.deepEqual(members(name), [...names, 'constructor'].sort());
  }
});

/** A copy of the project whose uWebSockets.js has another name in place of one of its symbols. */
function projectWithout(symbol: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'devlxd-bridge-'));
  for (const part of ['dist', 'bin', 'package.json'])
    cpSync(join(packageRoot, part), join(copy, part), { recursive: true });
  symlinkSync(join(packageRoot, 'build'), join(copy, 'build'));
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(packageRoot, 'node_modules'))) {
    if (name !== 'uWebSockets.js')
      symlinkSync(join(packageRoot, 'node_modules', name), join(copy, 'node_modules', name));
  }
  const original = join(packageRoot, 'node_modules/uWebSockets.js');
  const broken = join(copy, 'node_modules/uWebSockets.js');
  mkdirSync(broken);
  const binary = `uws_linux_${process.arch}_${process.versions.modules}.node`;
  for (const name of ['package.json', 'uws.js', 'ESM_wrapper.mjs']) cpSync(join(original, name), join(broken, name));
  const bytes = readFileSync(join(original, binary)).toString('latin1');
  const other = `${symbol.slice(0, -1)}X`;
  writeFileSync(join(broken, binary), bytes.replaceAll(`\0${symbol}\0`, `\0${other}\0`), 'latin1');
  return copy;
}

for (const symbol of ['us_adopt_accepted_socket', 'us_socket_context_on_close', 'us_socket_context_on_data']) {
  test(`without ${symbol} the daemon refuses to start and says so`, () => {
    const copy = projectWithout(symbol);
    try {
      const options = ['serve', '--run-dir', join(copy, 'run'), '--state-dir', join(copy, 'state')];
      const { status, stderr } = spawnSync(process.execPath, [join(copy, 'bin/devlxd'), ...options], {
        encoding: 'utf8',
      });
      assert.equal(status, 1, stderr);
      assert.match(
        stderr,
        new RegExp(`devlxd: This build of uWebSockets.js cannot be used: symbol ${symbol} failed \\(Node v`),
      );
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
}

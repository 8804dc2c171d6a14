import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { allOptions, OptionError, readSettings, variableOf } from '../../src/config.js';
import { faults } from '../../src/errors.js';
import { limitDeclarations } from '../../src/limits.js';
import { packageRoot } from '../../src/package-root.js';

test('flags win over the environment, which wins over the defaults', () => {
  assert.equal(readSettings({}, {}).backlog, 4096);
  assert.equal(readSettings({}, { DEVLXD_BACKLOG: '7' }).backlog, 7);
  assert.equal(readSettings({ backlog: '9' }, { DEVLXD_BACKLOG: '7' }).backlog, 9);
  assert.equal(readSettings({}, { DEVLXD_LIMIT_HOLD_SECONDS: '1' }).limits['hold-seconds'], 1);
});

test('a value that cannot be understood names its option and its variable', () => {
  const wrong: [Record<string, string>, RegExp][] = [
    [{ backlog: 'many' }, /--backlog \(DEVLXD_BACKLOG\) takes a whole number/],
    [{ identity: 'guess' }, /--identity \(DEVLXD_IDENTITY\) takes one of auto, pidfd-ioctl/],
    [{ 'limit-strangers': '-1' }, /--limit-strangers/],
    [{ 'run-dir': '' }, /--run-dir .* takes a directory/],
  ];
  for (const [flags, message] of wrong) {
    assert.throws(
      () => readSettings(flags, {}),
      (error) => error instanceof OptionError && message.test(error.message),
    );
  }
});

test('a source is a daemon, and where it is asked', () => {
  const sources: [string, unknown][] = [
    ['', undefined],
    ['lxd', { name: 'lxd', socketPath: '/var/lib/lxd/unix.socket' }],
    ['lxd:/s', { name: 'lxd', socketPath: '/s' }],
    ['incus', { name: 'incus', socketPath: '/var/lib/incus/unix.socket' }],
    ['incus:/s', { name: 'incus', socketPath: '/s' }],
  ];
  for (const [text, source] of sources) assert.deepEqual(readSettings({ source: text }, {}).source, source);
  for (const wrong of ['lxc', 'lxd:', 'lxd:s', 'incus,lxd', 'LXD']) {
    assert.throws(() => readSettings({ source: wrong }, {}), /--source \(DEVLXD_SOURCE\) takes lxd, incus, /);
  }
});

function page(name: string): string {
  return readFileSync(join(packageRoot, 'docs', name), 'utf8');
}

test('every option, limit and fault has its line in the documentation', () => {
  const options = page('options.md');
  for (const [name] of allOptions())
    assert.ok(options.includes(`\`--${name}\``) && options.includes(variableOf(name)), name);
  const limits = page('limits.md');
  for (const [name, limit] of Object.entries(limitDeclarations)) {
    assert.match(limits, new RegExp(`\\| \`${name}\` \\| ${limit.default} ${limit.unit} \\|`), name);
  }
  const errors = page('errors.md');
  for (const [code, status] of Object.entries(faults)) assert.ok(errors.includes(`| \`${code}\` | ${status} |`), code);
});

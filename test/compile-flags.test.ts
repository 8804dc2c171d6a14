import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';

const addon = 'devlxd.node';
const built = [addon, 'devlxd-agent', 'devlxd-hook', 'devlxd-runc', 'guests', 'guests_client.node'];
let missing = false;

before(() => {
  missing = spawnSync('readelf', ['--version']).error !== undefined;
});

/** What readelf says of a built file; undefined, and the test is skipped, where there is none. */
function readelf(t: TestContext, name: string, ...options: string[]): string | undefined {
  if (missing) {
    t.skip('needs readelf: apt-get install binutils');
    return undefined;
  }
  return spawnSync('readelf', ['-W', ...options, join(packageRoot, 'build/Release', name)], { encoding: 'utf8' })
    .stdout;
}

for (const name of built) {
  test(`${name}: the stack is not executable, relocations are read-only, at any address`, (t) => {
    const text = readelf(t, name, '-h', '-l', '-d');
    if (text === undefined) return;
    assert.match(text, /GNU_STACK\s+(0x[0-9a-f]+\s+){5}RW\s/);
    assert.match(text, /GNU_RELRO/);
    assert.match(text, /FLAGS_1\)\s+Flags: NOW/);
    assert.match(text, /Type:\s+DYN /);
    assert.doesNotMatch(text, /TEXTREL|RPATH|RUNPATH/);
    assert.doesNotMatch(text, /LOAD\s.*\sRWE\s/);
  });
}

test('the addon is compiled with stack protectors, checked functions of libc and checked containers', (t) => {
  const symbols = readelf(t, addon, '--dyn-syms');
  if (symbols === undefined) return;
  assert.match(symbols, /UND __stack_chk_fail@/);
  assert.match(symbols, /UND __\w+_chk@/); // FORTIFY
  assert.match(symbols, /UND _ZSt21__glibcxx_assert_fail/);
});

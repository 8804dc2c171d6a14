import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../src/package-root.js';

const { unsupported, binariesOf } = (await import(join(packageRoot, 'bin/supported-node.mjs'))) as {
  unsupported(node?: object, glibc?: string): string | undefined;
  binariesOf(arch?: string): string[];
};

const works = /use Node 20 \(20\.17 or newer\), 22 \(22\.16 or newer\) or 24\.$/;

function nodeOf(version: string, abi: number, more = {}): object {
  return { platform: 'linux', arch: 'x64', versions: { node: version, modules: String(abi) }, ...more };
}

test('Node 20.17, 22.16 and 24 run it, where their uWebSockets.js finds its glibc', () => {
  assert.equal(unsupported(nodeOf('20.17.0', 115), '2.36'), undefined);
  assert.equal(unsupported(nodeOf('20.19.2', 115, { arch: 'arm64' }), '2.41'), undefined);
  assert.equal(unsupported(nodeOf('22.16.0', 127), '2.38'), undefined);
  assert.equal(unsupported(nodeOf('24.0.0', 137), '2.41'), undefined);
  assert.match(
    unsupported(nodeOf('24.1.0', 137), '2.36') ?? '',
    /^With Node 24, .* needs glibc 2\.38 .* has 2\.36: use Node 20/,
  );
});

test('others are refused in one sentence that names what works', () => {
  const refused: [string, number][] = [
    ['18.20.4', 108],
    ['20.16.0', 115],
    ['21.7.3', 120],
    ['22.15.1', 127],
    ['23.11.0', 131],
    ['25.0.0', 141],
    ['26.12.1', 147],
    ['28.0.0', 160],
  ];
  for (const [version, abi] of refused) {
    const sentence = unsupported(nodeOf(version, abi), '2.41') ?? '';
    assert.match(sentence, works);
    assert.ok(sentence.includes(` ${version}`), sentence);
    assert.ok(!sentence.includes('\n'), sentence);
  }
  assert.match(unsupported(nodeOf('22.16.0', 127, { platform: 'darwin' }), '2.41') ?? '', /Linux/);
  assert.match(unsupported(nodeOf('22.16.0', 127, { arch: 'riscv64' }), '2.41') ?? '', /riscv64/);
  assert.match(
    unsupported({ ...nodeOf('20.17.0', 115), report: { getReport: () => ({ header: {} }) } }) ?? '',
    /glibc/,
  );
});

test('this Node is one of them, and its uWebSockets.js is kept', () => {
  assert.equal(unsupported(), undefined);
  assert.ok(binariesOf().includes(`uws_linux_${process.arch}_${process.versions.modules}.node`));
});

test('set-up and devlxd say it, and nothing else', () => {
  const pretended = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '26.12.1', modules: '147' } });`;
  const environment = {
    ...process.env,
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(pretended)}`,
  };
  for (const program of ['scripts/setup.mjs', 'bin/devlxd']) {
    const { status, stderr } = spawnSync(process.execPath, [join(packageRoot, program)], {
      encoding: 'utf8',
      env: environment,
    });
    assert.equal(status, 1);
    assert.match(stderr, /^(setup|devlxd): devlxd does not run on Node 26\.12\.1, [^\n]*\n$/);
  }
});

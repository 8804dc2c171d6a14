// What set-up does in a checkout of its own, without compiling anything.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';

let checkout: string;

before(() => {
  checkout = mkdtempSync(join(tmpdir(), 'devlxd-set-up-'));
  for (const part of ['bin', 'scripts', 'package.json', 'binding.gyp', 'package-lock.json'])
    cpSync(join(packageRoot, part), join(checkout, part), { recursive: true });
});

after(() => rmSync(checkout, { recursive: true }));

/** What a program prints that has imported a module of scripts/setup there. */
function printed(module: string, program: string): string {
  const code = `import * as setup from './scripts/setup/${module}'; ${program}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: checkout,
    encoding: 'utf8',
    env: { ...process.env, npm_config_node_gyp: 'node-gyp' },
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('binaries of uWebSockets.js for other platforms are removed, those of this one stay', () => {
  const library = join(checkout, 'node_modules/uWebSockets.js');
  mkdirSync(library, { recursive: true });
  const own = `uws_linux_${process.arch}_${process.versions.modules}.node`;
  for (const name of ['package.json', 'uws.js', own, 'uws_darwin_arm64_127.node', 'uws_win32_x64_115.node'])
    writeFileSync(join(library, name), '{}');
  printed('steps.mjs', 'setup.removeForeign();');
  assert.deepEqual(readdirSync(library), ['package.json', 'uws.js', own].sort());
});

test('npm start compiles what the demo runs, npm run build all', () => {
  const made = (purpose: string): string[] =>
    JSON.parse(printed('steps.mjs', `console.log(JSON.stringify(setup.addon('${purpose}').commands().at(-1)));`)).slice(
      6,
    );
  assert.deepEqual(made('start'), ['devlxd', 'devlxd-hook', 'guests']);
  assert.deepEqual(made('build'), ['all']);
});

test('a terminal has one line that moves, and a file a line for each step', () => {
  const said = (isTTY: boolean): string =>
    printed(
      'progress.mjs',
      `let text = ''; const stream = { isTTY: ${isTTY}, columns: 40, write: (piece) => { text += piece; } };
      const progress = new setup.Progress(stream);
      progress.begin('addon', 'of native/'); progress.begin('TypeScript', 'tsc'); progress.compiled('addon');
      while (${isTTY} && !text.includes('file,')) await new Promise((done) => setTimeout(done, 10));
      progress.end('addon', 'done'); progress.end('TypeScript', 'failed'); process.stdout.write(text);`,
    ).replaceAll(/\d+\.\d s/g, 'N s');
  assert.equal(
    said(false),
    'setup: addon (of native/) ...\nsetup: TypeScript (tsc) ...\nsetup: addon: done, N s\nsetup: TypeScript: failed, N s\n',
  );
  const lines = said(true).split('\r\x1b[K');
  assert.equal(lines[1], 'setup: addon 1 file, N s | TypeScript N s'.slice(0, lines[1]?.length));
  assert.deepEqual(lines.slice(-2), ['setup: addon: done, N s\n', 'setup: TypeScript: failed, N s\n']);
});

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../src/package-root.js';

/**
 * The rooms of src/ from the top floor to the ground: a file imports from its own room and from floors below it.
 * Rooms of one floor do not know each other. docs/architecture.md says what each room is for.
 */
const floors: readonly (readonly string[])[] = [
  ['cli'],
  ['daemon', 'demo', 'apply', 'endpoint'],
  ['metrics'],
  ['control'],
  ['guest', 'handover'],
  ['sources', 'fleet'],
  ['instances', 'images', 'identity'],
  ['store', 'client'],
  ['gate', 'api', 'etcd'],
  ['config'],
  ['concurrency'],
  ['limits'],
  ['model', 'text', 'http'],
];

/** Files at the root of src/: every room may use them; they use nothing above these rooms. */
const ground = ['limits', 'model', 'text', 'http'];

interface Import {
  readonly from: string;
  readonly to: string;
}

function filesOf(folder: string, ending: RegExp): string[] {
  return readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name));
}

function importsIn(file: string, text: string): Import[] {
  const found = text.matchAll(/(?:\bfrom |\bimport\(|\bnew URL\()'(\.[^']+)\.js'/g);
  return [...found].map(([, path = '']) => ({ from: file, to: `${normalize(join(dirname(file), path))}.ts` }));
}

const sources = filesOf('src', /\.ts$/);
const imports = sources.flatMap((file) => importsIn(file, readFileSync(join(packageRoot, file), 'utf8')));

function roomOf(file: string): string {
  const [, room = '', ...rest] = file.split('/');
  return rest.length === 0 ? '' : room;
}

/** Why this import may not be; undefined: it may. */
function problemWith({ from, to }: Import): string | undefined {
  const [above, below] = [roomOf(from), roomOf(to)];
  if (above === below || below === '') return undefined;
  if (above === '') return ground.includes(below) ? undefined : `${from} lies at the root and uses ${to}`;
  const floorOf = (room: string): number => floors.findIndex((rooms) => rooms.includes(room));
  if (floorOf(above) < 0) return `${from}: room ${above} is on no floor`;
  if (floorOf(below) < 0) return `${to}: room ${below} is on no floor`;
  return floorOf(above) < floorOf(below) ? undefined : `${from} may not use ${to}: ${below} is not below ${above}`;
}

test('a file imports from its own room and from the floors below', () => {
  assert.ok(imports.length > 300, 'the imports are found');
  assert.deepEqual(imports.map(problemWith).filter(Boolean), []);
});

test('and the rule would notice', () => {
  const broken: Import[] = [
    { from: 'src/instances/registry.ts', to: 'src/guest/route.ts' },
    { from: 'src/guest/route.ts', to: 'src/control/control-server.ts' },
    { from: 'src/control/control-server.ts', to: 'src/daemon/daemon.ts' },
    { from: 'src/errors.ts', to: 'src/gate/gate.ts' },
    { from: 'src/attic/old.ts', to: 'src/model/instance.ts' },
  ];
  for (const each of broken) assert.notEqual(problemWith(each), undefined, `${each.from} -> ${each.to}`);
});

test('only the edge imports uWebSockets.js, and only one file loads the addon', () => {
  const using = (pattern: RegExp) =>
    sources.filter((file) => pattern.test(readFileSync(join(packageRoot, file), 'utf8'))).sort();
  const edge = /^src\/(?:gate\/[\w-]+|guest\/uws-\w+|guest\/events\/[\w-]+)\.ts$/;
  assert.deepEqual(
    using(/from 'uWebSockets\.js'|import\('uWebSockets\.js'\)/).filter((file) => !edge.test(file)),
    [],
  );
  assert.deepEqual(using(/build\/Release\/devlxd\.node/), ['src/gate/addon.ts']);
});

test('at most four files lie at the root of src/, and none in src/ and native/ has more than 300 lines', () => {
  assert.ok(sources.filter((file) => roomOf(file) === '').length <= 4);
  const long = [...sources, ...filesOf('native', /\.(?:cc|h)$/)].filter(
    (file) => readFileSync(join(packageRoot, file), 'utf8').trimEnd().split('\n').length > 300,
  );
  assert.deepEqual(long, []);
});

test('every source of the rooms of native/ is in the units that are compiled', () => {
  const included = filesOf('native/units', /\.cc$/).flatMap((unit) =>
    [...readFileSync(join(packageRoot, unit), 'utf8').matchAll(/^#include "(.+)"$/gm)].map(
      ([, name]) => `native/${name}`,
    ),
  );
  const rooms = ['accept', 'addon', 'agent', 'gate', 'hook', 'identity', 'os', 'uws'];
  assert.deepEqual(
    rooms.flatMap((room) => filesOf(`native/${room}`, /\.cc$/)).filter((name) => !included.includes(name)),
    [],
  );
});

test('every path that the documentation names exists', () => {
  const pages = ['README.md', 'SECURITY.md', ...filesOf('docs', /^[^/]+\.md$/)];
  const named = pages.flatMap((page) =>
    [...readFileSync(join(packageRoot, page), 'utf8').matchAll(namedPath)].map(([path]) => ({ page, path })),
  );
  assert.ok(named.length > 40, 'paths are found');
  assert.deepEqual(
    named.filter(({ path }) => !existsSync(join(packageRoot, path))).map(({ page, path }) => `${page}: ${path}`),
    [],
  );
});

/** Of the project's own: src/gate/gate.ts, native/os, packaging/devlxd.service. */
const namedPath = /(?<![\w/.-])(?:src|native|bench|test|docs|packaging|scripts|bin)\/[\w./-]*[\w/]/g;

test('links between the pages lead somewhere', () => {
  for (const page of ['README.md', 'SECURITY.md', ...filesOf('docs', /^[^/]+\.md$/)]) {
    for (const [, target = ''] of readFileSync(join(packageRoot, page), 'utf8').matchAll(
      /\]\(([^)#]+)(?:#[^)]*)?\)/g,
    )) {
      if (/^https?:/.test(target)) continue;
      assert.ok(existsSync(join(packageRoot, dirname(page), target)), `${page}: ${target}`);
    }
  }
});

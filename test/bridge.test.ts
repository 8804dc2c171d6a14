import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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
    'limitNames',
    'listenTcp',
    'listenUnix',
    'listenVsock',
    'listens',
    'nodeAbi',
    'notifyManager',
    'receiveMessage',
    'sendFile',
    'sendMessage',
    'stopReading',
    'vsockPort',
  ]);
  const members = (name: string) => Object.getOwnPropertyNames((addon[name] as { prototype: object }).prototype).sort();
  const source = readFileSync(join(packageRoot, 'src/gate/addon.ts'), 'utf8');
  for (const name of ['Gate', 'ControlListener']) {
    const declared = new RegExp(`interface Native${name} \\{([^}]*)\\}`).exec(source)?.[1] ?? '';
    const names = [...declared.matchAll(/^ {2}(\w+)\(/gm)].map(([, member]) => member);
    assert.deepEqual(members(name), [...names, 'constructor'].sort());
  }
});

/** A copy of the project with a uWebSockets.js of its own: `damage` gets its directory and the name of its binary. */
function projectWith(damage: (library: string, binary: string) => void): string {
  const copy = mkdtempSync(join(tmpdir(), 'devlxd-bridge-'));
  for (const part of ['dist/program', 'bin', 'package.json'])
    cpSync(join(packageRoot, part), join(copy, part), { recursive: true });
  symlinkSync(join(packageRoot, 'build'), join(copy, 'build'));
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(packageRoot, 'node_modules'))) {
    if (name !== 'uWebSockets.js')
      symlinkSync(join(packageRoot, 'node_modules', name), join(copy, 'node_modules', name));
  }
  const original = join(packageRoot, 'node_modules/uWebSockets.js');
  const library = join(copy, 'node_modules/uWebSockets.js');
  mkdirSync(library);
  const binary = `uws_linux_${process.arch}_${process.versions.modules}.node`;
  for (const name of ['package.json', 'uws.js', 'ESM_wrapper.mjs', binary])
    cpSync(join(original, name), join(library, name));
  damage(library, binary);
  return copy;
}

/** Starts the daemon of such a project, which must end with this sentence. */
function refusesToStart(damage: (library: string, binary: string) => void, sentence: RegExp): void {
  const copy = projectWith(damage);
  try {
    const options = ['serve', '--run-dir', join(copy, 'run'), '--state-dir', join(copy, 'state')];
    const { status, stderr } = spawnSync(process.execPath, [join(copy, 'bin/devlxd'), ...options], {
      encoding: 'utf8',
    });
    assert.equal(status, 1, stderr);
    assert.match(stderr, sentence);
    assert.doesNotMatch(stderr, /^ +at /m);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

for (const symbol of ['us_adopt_accepted_socket', 'us_socket_context_on_close', 'us_socket_context_on_data']) {
  test(`without ${symbol} the daemon refuses to start and says so`, () => {
    refusesToStart(
      (library, binary) => {
        const bytes = readFileSync(join(library, binary)).toString('latin1');
        const other = `${symbol.slice(0, -1)}X`;
        writeFileSync(join(library, binary), bytes.replaceAll(`\0${symbol}\0`, `\0${other}\0`), 'latin1');
      },
      new RegExp(`devlxd: This build of uWebSockets.js cannot be used: symbol ${symbol} failed \\(Node v`),
    );
  });
}

/** What a build could do to `tryEnd(body, length)`, and what is said of it. */
const wrongAnswers = [
  ['more bytes than the body has are announced', 'tryEnd(body, length + 1)', 'a character of Latin-1'],
  ['fewer bytes than the body has are announced', 'tryEnd(body, length - 1)', 'a character of Latin-1'],
  ['text is sent as Latin-1', "tryEnd(Buffer.from(Buffer.from(body).toString(), 'latin1'), length)", 'a character of'],
  [
    'long answers are cut',
    'tryEnd(length > 65536 ? body.slice(0, 65536) : body, length > 65536 ? 65536 : length)',
    '70 KB',
  ],
  [
    'an emoji becomes two replacement characters',
    "tryEnd(Buffer.from(Buffer.from(body).toString().replace(/\\ud83d\\ude00/, '\\ufffd')), length)",
    'an emoji',
  ],
] as const;
for (const [what, call, step] of wrongAnswers) {
  test(`when ${what}, the daemon refuses to start and says so`, () => {
    refusesToStart(
      (library) => appendFileSync(join(library, 'uws.js'), answeringWith(call)),
      new RegExp(
        `devlxd: This build of uWebSockets.js cannot be used: sending an answer with ${step}.* failed \\(Node v`,
      ),
    );
  });
}

/** Code that makes the responses of each app answer by this call. */
function answeringWith(call: string): string {
  return `
    const { App } = module.exports;
    module.exports.App = (...options) => {
      const app = App(...options);
      const any = app.any.bind(app);
      app.any = (pattern, handler) => any(pattern, (response, request) => {
        const tryEnd = response.tryEnd.bind(response);
        response.tryEnd = (body, length) => ${call};
        handler(response, request);
      });
      return app;
    };`;
}

const otherAddons = {
  'built for another Node': [
    'module.exports = { nodeAbi: 999 };',
    /^devlxd: The addon was built for another Node \(ABI 999\) than this one, v\S+ \(ABI \d+\)\. Build it with this Node/,
  ],
  'that cannot be loaded': [
    "throw new Error('wrong ELF class');",
    /^devlxd: The addon cannot be loaded: wrong ELF class\. Build it/,
  ],
} as const;
for (const [what, [code, sentence]] of Object.entries(otherAddons)) {
  test(`an addon ${what} is said to be that, in one sentence`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'devlxd-addon-'));
    try {
      const file = join(directory, 'addon.cjs');
      writeFileSync(file, code);
      const environment = { ...process.env, DEVLXD_ADDON: file };
      for (const words of [['serve', '--run-dir', directory, '--state-dir', directory], ['check'], ['demo']]) {
        const program = [join(packageRoot, 'bin/devlxd'), ...words];
        const { status, stderr } = spawnSync(process.execPath, program, { encoding: 'utf8', env: environment });
        assert.match(stderr, sentence);
        assert.equal(stderr.trim().split('\n').length, 1, stderr);
        assert.equal(status, 1);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

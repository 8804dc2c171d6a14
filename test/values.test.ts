// Values on the command line and in files: byte for byte, or a sentence that names the key.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { binary, CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';

let daemon: TestDaemon;
const commandLine = new CommandLine(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  await daemon.create('c1');
});

after(() => daemon.remove());

async function value(key: string): Promise<string | undefined> {
  return (await daemon.client.instances.get('c1')).config[key];
}

function fileWith(bytes: string | Buffer, name = 'value'): string {
  const path = join(daemon.directory, name);
  writeFileSync(path, bytes);
  return path;
}

const odd = `\ufeff\r\n${'zwölf Zeichen '.repeat(10_000)}\0\n\n`;

test('a value is read from a file, or from standard input, byte for byte', async () => {
  const path = fileWith(odd);
  commandLine.does('set', 'c1', `user.file=@${path}`, 'user.other=x');
  assert.deepEqual([await value('user.file'), await value('user.other')], [odd, 'x']);
  for (const words of [['user.a', '-'], ['user.b=@-'], ['user.c=-']]) {
    const { status, stderr } = commandLine.run(['set', 'c1', ...words], odd);
    assert.deepEqual([status, stderr], [0, '']);
  }
  assert.deepEqual([await value('user.a'), await value('user.b'), await value('user.c')], [odd, odd, odd]);
  commandLine.does('create', 'c2', `user.file=@${path}`);
  commandLine.does('profile', 'create', 'p', `user.file=@${path}`);
  commandLine.does('profile', 'set', 'p', 'user.k', 'v w');
  const { config } = await daemon.client.profiles.get('p');
  assert.deepEqual([config['user.file'], config['user.k']], [odd, 'v w']);
});

test('a value may begin with @, and a file that cannot be read changes nothing', async () => {
  commandLine.does('set', 'c1', 'user.at=@@home', 'user.mail=a@b', 'user.two=@@@x');
  assert.deepEqual(
    [await value('user.at'), await value('user.mail'), await value('user.two')],
    ['@home', 'a@b', '@@x'],
  );
  for (const [words, sentence] of [
    [['user.at=1', 'user.x=@/nonexistent'], /^devlxd: \/nonexistent cannot be read: ENOENT/],
    [['user.at=1', 'user.x=@'], /^devlxd: user\.x: @ is followed by the name of a file/],
    [['user.at=@-', 'user.x=-'], /^devlxd: Only one value can be read from standard input\.\n$/],
    [['user.at', 'x', 'y'], /^devlxd: "user\.at" is not of the form key=value\.\n$/],
  ] as const) {
    const { status, stderr } = commandLine.run(['set', 'c1', ...words]);
    assert.match(stderr, sentence);
    assert.equal(status, 2);
  }
  assert.equal(await value('user.at'), '@home');
});

test('a value that is longer than the limit is refused by name', async () => {
  const path = fileWith('x'.repeat(5 * 1024 * 1024));
  const { status, stderr } = commandLine.run(['set', 'c1', `user.long=@${path}`]);
  assert.match(stderr, /config\.user\.long: longer than 4194304 bytes/);
  assert.equal(status, 1);
});

const bad: [what: string, bytes: Buffer, at: number][] = [
  ['Latin-1', Buffer.from('Gr\xfc\xdfe', 'latin1'), 2],
  ['a character that breaks off', Buffer.from([0x61, 0xe2, 0x82]), 1],
  ['an overlong slash', Buffer.from([0xc0, 0xaf]), 0],
  ['half of a surrogate pair', Buffer.from([0x78, 0xed, 0xa0, 0x80]), 1],
  ['beyond Unicode', Buffer.from([0xf4, 0x90, 0x80, 0x80]), 0],
  ['after a replacement character of its own', Buffer.from([0xef, 0xbf, 0xbd, 0xff]), 3],
];

for (const [what, bytes, at] of bad) {
  test(`${what} is no text: an error names the key, and nothing changes`, async () => {
    await daemon.client.instances.patch('c1', { config: { 'user.bad': 'before', 'user.good': 'before' } });
    const said = new RegExp(`user\\.bad.*: not UTF-8 at byte ${at}`);
    for (const { stderr, status } of [
      // Only a shell can give such words.
      spawnSync('/bin/sh', ['-s'], {
        input: Buffer.concat([
          Buffer.from(`exec '${process.execPath}' '${binary}' set c1 user.good=after user.bad='`),
          bytes,
          Buffer.from("'\n"),
        ]),
        encoding: 'utf8',
        env: commandLine.environment(),
      }),
      commandLine.run(['set', 'c1', 'user.good=after', `user.bad=@${fileWith(bytes)}`]),
    ]) {
      assert.match(stderr, said);
      assert.equal(status, 2);
    }
    for (const document of [
      'instances:\n- name: c1\n  config:\n    user.good: after\n    user.bad: "',
      '{"name":"c1","config":{"user.good":"after","user.bad":"',
    ]) {
      const ends = document.startsWith('{') ? '"}}\n' : '"\n';
      const whole = Buffer.concat([Buffer.from(document), bytes, Buffer.from(ends)]);
      const { stderr, status } = commandLine.run(['apply', '-f', fileWith(whole, 'applied')]);
      assert.match(stderr, /applied, line [15]: instances\.0\.config\.user\.bad: not UTF-8 at byte \d+ of it/);
      assert.equal(status, 2);
    }
    assert.deepEqual([await value('user.bad'), await value('user.good')], ['before', 'before']);
  });
}

test('what is text passes everywhere, also with a replacement character', async () => {
  commandLine.does('set', 'c1', 'user.fffd=a\ufffdb', 'user.emoji=🐧');
  assert.deepEqual([await value('user.fffd'), await value('user.emoji')], ['a\ufffdb', '🐧']);
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { widthOf } from '../src/text/width.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { Guests } from './support/guest-processes.js';
import { Session } from './support/http.js';

const many = 10_000;

let daemon: TestDaemon;
let guests: Guests;
const commandLine = new CommandLine(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** What a bar has shown, one after the other. */
function percentages(text: string, doing: string): number[] {
  const bar = new RegExp(`\\r${doing} \\[([#.]{30})\\] +(\\d+)%`, 'g');
  return [...text.matchAll(bar)].map(([, drawn = '', percent]) => {
    assert.equal(drawn.indexOf('.') < 0 ? 30 : drawn.indexOf('.'), drawn.replaceAll('.', '').length);
    return Number(percent);
  });
}

test('10,000 instances from one file: a bar on a terminal, one transaction, and lists that fit', async () => {
  const file = join(daemon.directory, 'many.ndjson');
  const devices = { data: { type: 'disk', path: '/data' } };
  const lines = Array.from({ length: many }, (_, n) =>
    JSON.stringify({ name: `instance-with-a-long-name-${n}`, config: { 'user.n': String(n) }, devices }),
  );
  writeFileSync(file, lines.join('\n'));
  const commits = async (): Promise<number> => {
    return Number(/^devlxd_store_commits_total\{outcome="done"\} (\d+)$/m.exec(await daemon.client.metrics())?.[1]);
  };
  const before = await commits();
  const { status, text } = await commandLine.onTerminal(['apply', '-f', file, '--quiet']);
  assert.equal(status, 0, text);
  const shown = [...percentages(text, 'Checking'), ...percentages(text, 'Writing')];
  assert.ok(shown.length > 0, 'a bar');
  assert.match(
    stripVTControlCharacters(text),
    /^10000 to create, 0 to change, 0 as they should be\.\r\n[\s\S]*Done\.\r\n$/,
  );
  assert.equal(await commits(), before + 1);

  const listed = await commandLine.onTerminal(['list'], 60);
  const table = listed.text.trimEnd().split('\r\n');
  assert.deepEqual(table.splice(-2), ['', `${many} instances`]);
  assert.equal(table.length, 1 + many);
  assert.ok(table.every((line) => widthOf(line) <= 60));
  assert.match(table[1] ?? '', /^instance-\S*… +STOPPED .* \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  const left = await new CommandLine(() => daemon, { PAGER: 'head -n 2' }).onTerminal(['list', '--columns', 'name']);
  assert.equal(left.text, 'NAME\r\ninstance-with-a-long-name-0\r\n', 'a reader of the pager has seen enough');
  assert.equal(left.status, 0);
  assert.match(commandLine.does('list'), /^NAME.*\ninstance-with-a-long-name-0 +STOPPED /);
  assert.equal(commandLine.does('list', '--format', 'csv').trimEnd().split('\n').length, many);

  const again = commandLine.run(['apply', '-f', file]);
  assert.deepEqual([again.status, again.stdout], [0, '0 to create, 0 to change, 10000 as they should be.\n']);
  assert.equal(again.stderr, '', 'no bar where there is no terminal');
  assert.equal(await commits(), before + 1);
});

test('an image: a bar while it is sent, and only the fingerprint where there is no terminal', async () => {
  const file = join(daemon.directory, 'image');
  writeFileSync(file, Buffer.alloc(50_000_000, 'an image'));
  const { status, text } = await commandLine.onTerminal(['image', 'import', file]);
  assert.equal(status, 0, text);
  const shown = percentages(text, 'Importing');
  assert.ok(shown.length > 1 && shown.at(-1) === 100, String(shown));
  assert.deepEqual(
    shown.toSorted((a, b) => a - b),
    shown,
  );
  const fingerprint = /([0-9a-f]{64})\r\n$/.exec(text)?.[1] ?? '';
  commandLine.does('image', 'delete', fingerprint);
  assert.equal(commandLine.does('image', 'import', file), `${fingerprint}\n`);
});

test('top: refreshed in place until Ctrl-C; a plain snapshot elsewhere', async () => {
  const guest = guests.one();
  await daemon.register('busy', guest.pid, { 'user.a': '1' });
  const session = new Session(guest.connect(daemon.socket));
  for (const path of ['/1.0', '/1.0/config', '/1.0/config/user.a']) await session.ask(path);
  const looks = (text: string): number => text.split('\x1b[H').length - 1;
  const { status, text } = await commandLine.onTerminal(['top', '--interval', '0.2'], 70, (all) => looks(all) >= 3);
  assert.equal(status, 0, text);
  assert.ok(text.includes('\x1b[?1049h') && text.endsWith('\x1b[?25h\x1b[?1049l'), 'the terminal is given back');
  assert.match(stripVTControlCharacters(text), /INSTANCE +REQ\/S +CONNECTIONS +LISTENERS +REQUESTS\r\nbusy +\d/);
  for (const line of stripVTControlCharacters(text).split('\r\n')) assert.ok(widthOf(line) <= 70, line);

  const plain = commandLine.does('top');
  assert.match(plain, /^requests \d+, connections 1, listeners 0, limit hits 0, instances 10001\n\nINSTANCE /);
  assert.match(plain, /\nbusy +1 +0 +3\n$/);
  assert.equal(commandLine.does('top', '--count', '2', '--interval', '0.1').match(/^requests /gm)?.length, 2);
  const [figures] = JSON.parse(commandLine.does('top', '--format', 'json'));
  assert.deepEqual(figures, {
    project: 'default',
    instance: 'busy',
    values: { connections: 1, listeners: 0, requests: 3 },
  });
  await session.close();
});

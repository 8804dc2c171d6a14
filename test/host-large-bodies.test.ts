import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';
import { Operator } from './support/host.js';

const lines = { 'content-type': 'application/x-ndjson' };
const megabyte = 1024 * 1024;

let daemon: TestDaemon;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  await daemon.create('c1', { 'user.a': '1' });
});

after(() => daemon.remove());

const keys = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, n) => [`user.${n}`, '']));
const nested = (depth: number, [open, close]: readonly [string, string]): string =>
  `${open.repeat(depth)}1${close.repeat(depth)}`;

/** What is too much, as the text of a body, and the error that names where. */
const tooMuch: [of: string, text: string, expected: RegExp][] = [
  ['keys', JSON.stringify({ config: keys(400_000) }), /config: a JSON document has at most 20000 values/],
  ['devices', JSON.stringify({ devices: keys(400_000) }), /devices: a JSON document has at most 20000 values/],
  ['options', JSON.stringify({ devices: { d: keys(400_000) } }), /devices\.d: a JSON document has at most 20000/],
  ['profiles', JSON.stringify({ profiles: Array(400_000).fill('') }), /profiles: a JSON document has at most 20000/],
  ['fields', JSON.stringify(keys(400_000)), /body: a JSON document has at most 20000 values/],
  ['an unknown field', JSON.stringify({ newer: Array(400_000).fill(0) }), /newer: a JSON document has at most 20000/],
  [
    'a long key',
    JSON.stringify({ config: { ['user.'.repeat(megabyte)]: '' } }),
    /config: a key has more than 1024 bytes/,
  ],
  ['a long name', JSON.stringify({ ['n'.repeat(5 * megabyte)]: '' }), /body: a key has more than 1024 bytes/],
  ['escapes', `{"config":{"${'\\u0061'.repeat(1000)}":""}}`, /config: a key has more than 1024 bytes/],
  ['lists inside each other', nested(300_000, ['[', ']']), /[0.]+: nested more than 32 levels deep/],
  ['objects inside each other', nested(300_000, ['{"a":', '}']), /[a.]+: nested more than 32 levels deep/],
  ['a config inside each other', `{"config":${nested(300_000, ['{"a":[', ']}'])}}`, /config\.a\.0[.a0]+: nested more/],
  ['tiny lists', `[${'[],'.repeat(5 * megabyte)}[]]`, /body: a JSON document has at most 20000 values/],
  ['tiny values', `{"config":[${'1,'.repeat(7 * megabyte)}1]}`, /config: a JSON document has at most 20000 values/],
  ['commas', ','.repeat(15 * megabyte), /The body is not JSON|line 1: not JSON/],
  ['brackets that do not fit', ']'.repeat(15 * megabyte), /The body is not JSON|line 1: not JSON/],
];

const targets: [method: string, path: string][] = [
  ['POST', '/1.0/instances'],
  ['PUT', '/1.0/instances/c1'],
  ['PATCH', '/1.0/instances/c1'],
  ['PUT', '/1.0/instances/c1/state'],
  ['PATCH', '/1.0/profiles/default'],
  ['PATCH', '/1.0/projects/default'],
  ['PUT', '/1.0/images/aaaa'],
  ['POST', '/1.0/hooks/lxc'],
];

test('what is too much is refused with its field, at every endpoint, and nothing has changed', async () => {
  const read = (): Promise<unknown> => operator.metadata('GET', '/1.0/instances?recursion=1');
  const untouched = await read();
  for (const [index, [of, text, expected]] of tooMuch.entries()) {
    const [method, path] = targets[index % targets.length] as [string, string];
    const error = await operator.error(method, path, text);
    assert.match(error, new RegExp(`^400 (?:${expected.source})`), `${of}: ${method} ${path}`);
    assert.ok(error.length < 1100, `${of}: the error has ${error.length} characters`);
  }
  for (const [method, path] of targets) {
    assert.match(await operator.error(method, path, nested(300_000, ['[', ']'])), /^400 [0.]+: nested more than 32/);
  }
  assert.deepEqual(await read(), untouched);
});

test('the same in a line of a batch, whose number is named', async () => {
  for (const [of, text, expected] of tooMuch) {
    const path = text.length > megabyte ? '/1.0/batch' : '/1.0/instances';
    const error = await operator.error('POST', path, `\n\n${text}\n`, lines);
    assert.match(
      error,
      new RegExp(`^(?:400 line 3: (?:${expected.source})|failed line 3: not JSON)`),
      `${of}: ${path}`,
    );
  }
  assert.match(
    await operator.error('POST', '/1.0/batch', '\n'.repeat(megabyte), lines),
    /^400 line 2000[12]: body: a batch has at most 20000 lines/,
  );
});

test('an error quotes no more than a sentence of what was sent', async () => {
  for (const body of [{ name: 'n'.repeat(megabyte) }, { name: 'n', profiles: ['p'.repeat(megabyte)] }]) {
    const error = await operator.error('POST', '/1.0/instances', body);
    assert.ok(error.length < 1100, `${error.length} characters`);
  }
});

/** The error of a request with a body of bytes. */
async function sends(method: string, path: string, body: Buffer, type = 'application/json'): Promise<string> {
  const socket = connect(socketPaths(daemon.runDir).control);
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${type}\r\n`);
  socket.end(Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]));
  let text = '';
  for await (const chunk of socket) text += chunk;
  return JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)).error;
}

test('bytes that are no UTF-8 are refused with their field, and a replacement character that was sent is not', async () => {
  const bad = Buffer.from([0xff]);
  const cut = Buffer.from([0xe2, 0x82]); // two bytes of a euro sign
  const high = Buffer.from([0xed, 0xa0, 0x80]); // half of a surrogate pair
  for (const bytes of [bad, cut, high]) {
    const body = Buffer.concat([Buffer.from('{"config":{"user.ok":"\ufffd€","user.x":"a'), bytes, Buffer.from('"}}')]);
    assert.match(
      await sends('PATCH', '/1.0/instances/c1', body),
      /^config\.user\.x: not UTF-8 at byte \d+ of the body/,
    );
    const line = Buffer.concat([
      Buffer.from('{"method":"PATCH","path":"/1.0/instances/c1","body":'),
      body,
      Buffer.from('}\n'),
    ]);
    const sent = Buffer.concat([Buffer.from('\n'), line]);
    const type = lines['content-type'];
    assert.match(await sends('POST', '/1.0/batch', sent, type), /^line 2: body\.config\.user\.x: not UTF-8/);
  }
  await daemon.set('c1', { 'user.x': '\ufffd' });
  assert.equal((await daemon.client.instances.get('c1')).config['user.x'], '\ufffd');
});

test('a body just below the limits is taken', async () => {
  const config = Object.fromEntries(Array.from({ length: 4000 }, (_, n) => [`user.${n}`, 'x'.repeat(1000)]));
  config[`user.${'k'.repeat(1024 - 5)}`] = '{[,"\\';
  await operator.metadata('PATCH', '/1.0/instances/c1', { config, newer: JSON.parse(nested(31, ['[', ']'])) });
  const read = await daemon.client.instances.get('c1');
  assert.deepEqual({ ...read.config, ...config }, read.config);
});

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { readWanted } from '../src/apply/wanted.js';
import { socketPaths } from '../src/config/paths.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { exchange } from './support/http.js';

// Every name that an object has without having been given one: a table that is looked up by it must not find it.
const names = [...Object.getOwnPropertyNames(Object.prototype), 'prototype'];

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
const operator = new Operator(() => daemon);
const commandLine = new CommandLine(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
  guest = guests.one();
  await daemon.register('constructor', guest.pid, { 'user.foo': 'bar' }); // a name like any other
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

interface Bare {
  readonly method?: string;
  readonly body?: string;
}

/** No client sends such methods: the status line and the body as they came. */
async function bare(socket: Socket, path: string, { method = 'GET', body = '' }: Bare = {}): Promise<[string, string]> {
  const head = `${method} ${path} HTTP/1.1\r\nHost: lxd\r\nContent-Type: application/json\r\nConnection: close`;
  const answer = await exchange(socket, `${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`, (text) => {
    const [, length, rest = ''] = /\r\ncontent-length: (\d+)\r\n.*?\r\n\r\n(.*)/is.exec(text) ?? [];
    return length !== undefined && rest.length >= Number(length);
  });
  return [answer.split('\r\n', 1)[0] as string, answer.slice(answer.indexOf('\r\n\r\n') + 4)];
}

const asGuest = (path: string, asked?: Bare) => bare(guest.connect(daemon.socket), path, asked);
const asOperator = (path: string, asked?: Bare) => bare(connect(socketPaths(daemon.runDir).control), path, asked);

const notImplemented = ['HTTP/1.1 501 Not Implemented', 'Not Implemented\n'];
const notFound = ['HTTP/1.1 404 Not Found', 'Not Found\n'];

test('a guest may use the names of Object.prototype as methods, paths, keys and parameters', async () => {
  for (const name of names) {
    for (const body of ['', '{"state":"Ready"}']) {
      for (const path of ['/', '/1.0', '/1.0/config/user.foo', '/1.0/events', '/1.0/ubuntu-pro/token']) {
        assert.deepEqual(await asGuest(path, { method: name, body }), notImplemented, `${name} ${path}`);
      }
    }
    for (const path of [`/${name}`, `/1.0/${name}`, `/1.0/images/x/${name}`, `/${name}/config`]) {
      assert.deepEqual(await asGuest(path), notFound, path);
    }
    assert.deepEqual(await asGuest(`/1.0/config/${name}`), ['HTTP/1.1 403 Forbidden', 'Forbidden\n'], name);
    assert.deepEqual(await asGuest(`/1.0/config/user.${name}`), notFound, name);
    assert.deepEqual(await asGuest(`/1.0/config/user.foo?${name}=${name}`), ['HTTP/1.1 200 OK', 'bar'], name);
    const [state] = await asGuest('/1.0', { method: 'PATCH', body: JSON.stringify({ state: name }) });
    assert.equal(state, 'HTTP/1.1 400 Bad Request', name);
    const [head] = await asGuest(`/1.0/events?type=${name}&${name}=x&since=${name}`);
    assert.equal(head, 'HTTP/1.1 400 Bad Request', name);
  }
});

test('a key named like that is a key', async () => {
  await daemon.set('constructor', Object.fromEntries(names.map((name) => [`user.${name}`, name])));
  for (const name of names) {
    assert.deepEqual(await asGuest(`/1.0/config/user.${name}`), ['HTTP/1.1 200 OK', name]);
  }
  const [, list] = await asGuest('/1.0/config');
  assert.deepEqual(JSON.parse(list), ['foo', ...names].map((name) => `/1.0/config/user.${name}`).sort());
});

test('an operator may use them as methods, hooks, filters, fields, actions and types', async () => {
  for (const name of names) {
    for (const path of ['/1.0', '/1.0/instances', '/1.0/instances/constructor']) {
      const [status] = await asOperator(path, { method: name });
      // node:http itself refuses what is no method that it knows.
      assert.match(status, /^HTTP\/1\.1 (400|501) /, `${name} ${path}`);
    }
    const call = JSON.stringify({ arguments: [name], environment: {}, input: '' });
    const hook = await asOperator(`/1.0/hooks/${name}`, { method: 'POST', body: call });
    assert.match(hook.join(), /404.*There is no hook for/s, name);
    const filtered = async (filter: string) => asOperator(`/1.0/instances?filter=${encodeURIComponent(filter)}`);
    assert.match((await filtered(`name ${name} x`))[0], / 400 /, name);
    assert.match((await filtered(`name eq x ${name} name eq y`))[0], / 400 /, name);
    for (const field of [name, `config.${name}`, `config.user.foo.${name}`]) {
      const found = await operator.metadata('GET', `/1.0/instances?filter=${encodeURIComponent(`${field} eq x`)}`);
      assert.deepEqual(found, [], field);
    }
    for (const [path, body] of [
      ['', `{"${name}":"x"}`],
      ['', `{"config":{"${name}":"x"}}`],
      ['', `{"devices":{"${name}":{"${name}":"x"}}}`],
      ['', `{"profiles":["${name}"]}`],
      ['/state', `{"action":"${name}"}`],
    ] as const) {
      const method = path === '' ? 'PATCH' : 'PUT';
      const [status] = await asOperator(`/1.0/instances/constructor${path}`, { method, body });
      // An unknown field is ignored, like LXD's own.
      assert.match(status, body === `{"${name}":"x"}` ? / (200|400) / : / 40[04] /, `${method} ${body}`);
    }
    for (const [path, expected] of [
      [`/1.0/${name}`, / 404 /],
      [`/1.0/instances/${name}x`, / 404 /],
      [`/1.0/operations/${name}`, / 404 /],
      [`/1.0/instances?${name}=x`, / 200 /],
      [`/1.0/instances?project=${name}`, / 404 /],
    ] as const) {
      assert.match((await asOperator(path))[0], expected, path);
    }
  }
  const errors = daemon.log.filter(({ level }) => Number(level) >= 50);
  assert.deepEqual(errors, []);
});

test('a file to apply is refused where valibot would lose a name in silence', () => {
  for (const name of ['__proto__', 'prototype', 'constructor']) {
    for (const where of ['config', 'devices']) {
      const value = where === 'config' ? 'x' : '{type: disk}';
      const text = `instances:\n- name: a\n  ${where}:\n    ${name}: ${value}\n`;
      assert.throws(() => readWanted(text, 'f'), new RegExp(`f: instances\\[0\\]\\.${where}\\.${name}: is no name`));
      const line = `{"name":"a","${where}":{"${name}":${where === 'config' ? '"x"' : '{"type":"disk"}'}}}`;
      assert.throws(() => readWanted(line, 'f'), new RegExp(`f, line 1: ${where}\\.${name}: is no name`));
    }
  }
});

test('the command line knows no command, option or key of these names', async () => {
  for (const words of [['constructor'], ['serve', '--valueOf', 'x'], ['set', 'constructor', '__proto__=x']]) {
    const { status, stderr } = await commandLine.run(words);
    assert.notEqual(status, 0, words.join(' '));
    assert.doesNotMatch(stderr, / {4}at .*:\d+:\d+/, words.join(' ')); // a sentence, and no stack
  }
});

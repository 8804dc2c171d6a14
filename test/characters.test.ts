import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { EventStream } from './support/event-stream.js';
import { type Guest, Guests } from './support/guest-processes.js';

// Every character on every way to an answer, as UTF-8 and as long as announced: uWebSockets.js sends some strings as
// Latin-1 with Node 22 and newer.

const long = 'ü'.repeat(35 * 1024);
const texts: Readonly<Record<string, string>> = {
  ascii: 'plain',
  latin1: 'mit ü',
  'all of Latin-1': Array.from({ length: 96 }, (_, i) => String.fromCharCode(0xa0 + i)).join(''),
  euro: '€ and ü',
  emoji: '😀',
  'two bytes a character, cut to ASCII': '€ascii'.slice(1),
  'a character that is composed': 'u\u0308',
  'an embedded zero': 'a\u0000ü',
  'just not ASCII': '\u0080',
  '70 KB': long,
  '70 KB and one that is not Latin-1': `${long}☃`,
};

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  daemon = await TestDaemon.start(['--limit-requests-per-second', '0']);
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, configOf());
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const keyOf = (i: number) => `user.text${i}`;

function configOf(): Record<string, string> {
  const entries = Object.values(texts).map((text, i): [string, string] => [keyOf(i), text]);
  return { ...Object.fromEntries(entries), 'user.schlüssel☃': 'ü' };
}

/** A connection of which answers are read one by one, by their announced length. */
class Line {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data]);
      socket.emit('more');
    });
  }

  /** The body of the next answer. headOnly: none comes, whatever is announced */
  async answer(bytes: string | Buffer, headOnly = false): Promise<string> {
    this.#socket.write(bytes);
    const end = await this.#indexOf('\r\n\r\n');
    const head = this.#take(end + 4).toString('latin1');
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
    const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1]);
    if (headOnly) return String(length);
    while (this.#received.length < length) await once(this.#socket, 'more');
    return this.#take(length).toString();
  }

  end(): void {
    assert.equal(this.#received.length, 0, 'more came than was announced');
    this.#socket.destroy();
  }

  async #indexOf(text: string): Promise<number> {
    while (!this.#received.includes(text)) await once(this.#socket, 'more');
    return this.#received.indexOf(text);
  }

  #take(length: number): Buffer {
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }
}

const newLine = () => new Line(guest.connect(daemon.socket));
const requestOf = (path: string, version = '1.1') => `GET ${path} HTTP/${version}\r\nHost: lxd\r\n\r\n`;

for (const [i, [what, text]] of Object.entries(texts).entries()) {
  const path = `/1.0/config/${keyOf(i)}`;

  test(`${what}: first, kept and between others on one connection`, async () => {
    const line = newLine();
    for (let n = 0; n < 3; n++) {
      assert.equal(await line.answer(requestOf(path)), text);
      assert.equal(await line.answer(requestOf(`/1.0/config/${keyOf(0)}`)), 'plain');
    }
    line.end();
  });

  test(`${what}: requests in one piece`, async () => {
    const line = newLine();
    assert.equal(await line.answer(requestOf(path).repeat(3)), text);
    assert.equal(await line.answer(''), text);
    assert.equal(await line.answer(''), text);
    line.end();
  });

  test(`${what}: HTTP/1.0, an absolute target, no Host, HEAD`, async () => {
    for (const request of [requestOf(path, '1.0'), requestOf(`http://lxd${path}`), `GET ${path} HTTP/1.1\r\n\r\n`]) {
      const line = newLine();
      assert.equal(await line.answer(request), text);
      line.end();
    }
    const line = newLine();
    const head = await line.answer(requestOf(path).replace('GET', 'HEAD'), true);
    assert.equal(Number(head), Buffer.byteLength(text));
    assert.equal(await line.answer(requestOf(path)), text);
    line.end();
  });
}

test('a key with such characters, escaped and as it is, and the list of keys', async () => {
  const line = newLine();
  const list: string[] = JSON.parse(await line.answer(requestOf('/1.0/config')));
  assert.ok(list.includes('/1.0/config/user.schlüssel☃'));
  assert.equal(await line.answer(requestOf(`/1.0/config/${encodeURIComponent('user.schlüssel☃')}`)), 'ü');
  assert.equal(await line.answer(requestOf('/1.0/config/user.schlüssel☃')), 'ü');
  line.end();
});

for (const way of ['webSocket', 'chunked'] as const) {
  test(`${way}: events with every text, as text`, async () => {
    const other = guests.one();
    const name = `events-${way}`;
    await daemon.register(name, other.pid);
    const stream = await EventStream[way](other, daemon.socket);
    for (const text of Object.values(texts)) await daemon.set(name, { 'user.text': text });
    await stream.atLeast(Object.keys(texts).length);
    const values = stream.events.map(({ metadata }) => metadata['value']);
    assert.deepEqual(values, Object.values(texts));
    stream.end();
  });
}

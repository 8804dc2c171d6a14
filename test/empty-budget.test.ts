import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { exchange } from './support/http.js';

// A request that comes when its instance has no work left is answered as any other, only later.

const path = '/1.0/config/user.mark';
const head = `GET ${path} HTTP/1.1\r\nHost: lxd\r\n`;
const request = `${head}\r\n`;
const patch = (length: number): string =>
  `PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nContent-Length: ${length}\r\n\r\n${' '.repeat(length)}`;

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  daemon = await TestDaemon.start(['--limit-requests-per-second', '10', '--limit-request-burst', '1']);
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.mark': 'mine' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** Nothing is left of the budget afterwards. */
async function spend(): Promise<void> {
  const socket = guest.connect(daemon.socket);
  await exchange(socket, request.repeat(4), (text) => text.split('mine').length > 4);
}

for (const [what, bytes, status] of [
  ['a head that is too long, whole', `${head}X: ${'x'.repeat(140_000)}\r\n\r\n`, 431],
  ['a head that is too long, and goes on', `${head}X: ${'x'.repeat(180_000)}`, 431],
  ['a head with too many lines', `${head}${'X: y\r\n'.repeat(2000)}\r\n`, 431],
  ['a long head that is not too long', `${head}X: ${'x'.repeat(120_000)}\r\n\r\n`, 200],
  ['a body that is too long', patch(200_000), 413],
  ['a body that may be as long', patch(65_000), 400],
] as const) {
  test(`${what}: ${status}`, async () => {
    await spend();
    const answer = await exchange(guest.connect(daemon.socket), bytes, (text) => text.includes('\r\n\r\n'));
    assert.equal(answer.split(' ', 2)[1], String(status), answer.slice(0, 200));
  });
}

for (const method of [
  'G',
  'GT',
  'XX',
  'x',
  'get',
  'GETS',
  'M-SEARCH',
  'constructor',
  '~',
  "!#$%&'*+-.^_`|~",
  'A'.repeat(5000),
]) {
  test(`an unknown method is not implemented: ${method.slice(0, 20)}`, async () => {
    const bytes = `${method} /1.0 HTTP/1.1\r\nHost: lxd\r\n\r\n`;
    for (const sent of [bytes, request + bytes]) {
      const answer = await exchange(guest.connect(daemon.socket), sent, (text) => text.includes('501 '));
      assert.match(answer.slice(answer.lastIndexOf('HTTP/1.1 ')), /^HTTP\/1\.1 501 Not Implemented\r\n/);
    }
  });
}

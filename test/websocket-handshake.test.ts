import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { exchange } from './support/http.js';

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.a': '1' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** The head of the answer to a handshake with these headers as well. */
function handshake(...headers: string[]): Promise<string> {
  const lines = [
    'GET /1.0/events HTTP/1.1',
    'Host: lxd',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ...headers,
  ];
  const request = `${lines.join('\r\n')}\r\n\r\n`;
  return exchange(guest.connect(daemon.socket), request, (text) => text.includes('\r\n\r\n'));
}

test('a WebSocket of another version is told which one is spoken', async () => {
  for (const version of ['7', '8', '12', '14', '0', 'x']) {
    const answer = await handshake(`Sec-WebSocket-Version: ${version}`);
    assert.match(answer, /^HTTP\/1\.1 426 Upgrade Required\r\n/, version);
    assert.match(answer, /\r\nSec-WebSocket-Version: 13\r\n/i, version);
  }
  assert.match(await handshake('Sec-WebSocket-Version: 13'), /^HTTP\/1\.1 101 /);
});

test('its connection goes on', async () => {
  const request =
    'GET /1.0/events HTTP/1.1\r\nHost: lxd\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 8\r\n\r\n' +
    'GET /1.0/config/user.a HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n\r\n';
  const answer = await exchange(guest.connect(daemon.socket), request);
  assert.match(answer, /^HTTP\/1\.1 426 .*HTTP\/1\.1 200 OK\r\n.*\r\n\r\n1$/s);
});

test('no subprotocol is agreed to', async () => {
  for (const protocol of ['chat', 'chat, superchat', 'lxd']) {
    const answer = await handshake('Sec-WebSocket-Version: 13', `Sec-WebSocket-Protocol: ${protocol}`);
    assert.match(answer, /^HTTP\/1\.1 101 /);
    assert.doesNotMatch(answer, /Sec-WebSocket-Protocol/i);
  }
});

test('HEAD of events has no length, and its connection goes on', async () => {
  const request =
    'HEAD /1.0/events HTTP/1.1\r\nHost: lxd\r\n\r\n' +
    'GET /1.0/config/user.a HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n\r\n';
  const answer = await exchange(guest.connect(daemon.socket), request);
  const [head = '', ...others] = answer.split('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/json/);
  assert.doesNotMatch(head, /Content-Length/i);
  assert.match(others.join('\r\n\r\n'), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n1$/s);
});

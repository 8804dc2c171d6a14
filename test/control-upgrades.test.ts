import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Operator } from './support/host.js';

let daemon: TestDaemon;

before(async () => {
  daemon = await TestDaemon.start();
  await daemon.create('c1');
});

after(() => daemon.remove());

const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA';

/** The status lines of the answers to requests on one connection; a request is sent in these parts. */
async function statuses(...requests: readonly (readonly string[])[]): Promise<string[]> {
  const socket = connect(socketPaths(daemon.runDir).control);
  let received = '';
  socket.setEncoding('utf8').on('data', (data: string) => {
    received += data;
  });
  for (const [index, parts] of requests.entries()) {
    for (const part of parts) await new Promise((resolve) => socket.write(part, resolve));
    await eventually('it is answered', () => (received.match(/\}\n/g) ?? []).length > index);
  }
  socket.destroy();
  return received.match(/HTTP\/1\.1 \d+/g) ?? [];
}

test('a wish for a protocol that is not spoken here is ignored', async () => {
  const get = `GET /1.0/instances/c1 HTTP/1.1\r\nHost: x\r\n${h2c}\r\n\r\n`;
  const body = '{"config":{"user.h2c":"1"}}';
  const patch = `PATCH /1.0/instances/c1 HTTP/1.1\r\nHost: x\r\n${h2c}\r\nContent-Length: ${body.length}\r\n\r\n`;
  const ok = 'HTTP/1.1 200';
  assert.deepEqual(await statuses([get], [get]), [ok, ok]);
  assert.deepEqual(await statuses([patch + body], [get]), [ok, ok]);
  assert.deepEqual(await statuses([patch, body.slice(0, 5), body.slice(5)], [patch + body]), [ok, ok]);
  const chunks = `${patch.replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked')}${body.length.toString(16)}\r\n`;
  assert.deepEqual(await statuses([chunks, `${body}\r\n0\r\n\r\n`]), [ok]);
  const { config } = await new Operator(() => daemon).metadata<{ config: Record<string, string> }>(
    'GET',
    '/1.0/instances/c1',
  );
  assert.equal(config['user.h2c'], '1');
  const takeover = 'GET /1.0/takeover HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';
  assert.deepEqual(await statuses([takeover]), ['HTTP/1.1 404']);
});

test('what else Connection says of it holds', async () => {
  const socket = connect(socketPaths(daemon.runDir).control);
  socket.write('GET /1.0 HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n');
  let received = '';
  for await (const data of socket) received += data;
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n/s);
});

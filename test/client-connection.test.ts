// Connections that the daemon has closed while the program was busy elsewhere: the program sees it when it writes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Connection } from '../src/client/connection.js';

for (const [method, body] of [
  ['GET', undefined],
  ['PUT', '{}'],
  ['POST', '{}'],
  ['POST', undefined],
  ['POST', 'x'.repeat(1_000_000)],
] as const) {
  test(`${method} with ${body?.length ?? 0} bytes on a connection that was closed meanwhile is sent once more`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'devlxd-connection-'));
    const path = join(directory, 'socket');
    const sockets: Socket[] = [];
    const asked: (string | undefined)[] = [];
    const server = createServer(async (request: IncomingMessage, response) => {
      let length = 0;
      for await (const part of request) length += (part as Buffer).length;
      asked.push(`${request.method} ${length}`);
      response.end();
    });
    server.on('connection', (socket) => sockets.push(socket));
    server.listen(path);
    await once(server, 'listening');
    const connection = new Connection(path);
    try {
      await connection.ask({ method: 'GET', path: '/first' });
      // The descriptor is closed at once, and the client's end of it is not looked at before the request is written.
      sockets[0]?.destroy();
      const { status } = await connection.ask({ method, path: '/', ...(body === undefined ? {} : { body }) });
      assert.equal(status, 200);
      assert.deepEqual([sockets.length, asked], [2, ['GET 0', `${method} ${body?.length ?? 0}`]]);
    } finally {
      connection.close();
      server.close();
      rmSync(directory, { recursive: true });
    }
  });
}

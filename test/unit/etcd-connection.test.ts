import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { EtcdConnection } from '../../src/etcd/etcd-connection.js';

test('what a member that hangs is asked fails at once when there is no time any more', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const setting = { endpoints: [], prefix: '/devlxd/', tls: undefined };
  const [hurried, patient] = [1, 2].map(() => new EtcdConnection(`127.0.0.1:${port}`, setting)) as [
    EtcdConnection,
    EtcdConnection,
  ];
  const waiting = patient.get('/devlxd/x').then(
    () => 'answered',
    () => 'failed',
  );
  const asked = hurried.get('/devlxd/x');
  hurried.hurry();
  await assert.rejects(asked, /CANCELLED/);
  await assert.rejects(hurried.get('/devlxd/x'), /DEADLINE_EXCEEDED|UNAVAILABLE/);
  assert.equal(await Promise.race([waiting, 'still waiting']), 'still waiting');
  patient.hurry();
  assert.equal(await waiting, 'failed');
  for (const connection of [hurried, patient]) connection.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});

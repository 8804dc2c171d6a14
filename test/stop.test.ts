import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestDaemon, withDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

test('who has connected, and asks when the daemon has begun to stop for good, is answered', async () => {
  await withDaemon(async (daemon) => {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    const socket = guest.connect(daemon.socket);
    await daemon.set('c1', { 'user.mark': 'there' }); // and so it has been accepted
    const leaving = daemon.end();
    await eventually('it stops', () => daemon.log.some(({ msg }) => msg === 'devlxd stops'));
    assert.equal((await ask(socket, '/1.0/config/user.mark')).body, 'there');
    assert.equal(await leaving, 0);
  });
});

test('what needs the store when it is closed is answered 503, and is no line of the log', async () => {
  const daemon = await TestDaemon.start(['--log-level', 'debug']);
  try {
    const guest = guests.one();
    const big = 'x'.repeat(2_000_000);
    await daemon.register('c1', guest.pid, { 'user.big': big });
    const requests = [
      'PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nContent-Length: 17\r\n\r\n{"state":"Ready"}',
      'GET /1.0/events?since=2020-01-01T00:00:00.000000000Z HTTP/1.1\r\nHost: lxd\r\n\r\n',
    ];
    // Each stands behind an answer that is not read before the store is closed.
    const sockets = requests.map((request) => {
      const socket = guest.connect(daemon.socket).setEncoding('latin1').pause();
      socket.write(`GET /1.0/config/user.big HTTP/1.1\r\nHost: lxd\r\n\r\n${request}`);
      return socket;
    });
    await eventually(
      'both have begun to be answered',
      async () =>
        (await daemon.metric('devlxd_guest_requests_total', { endpoint: '/1.0/config/{key}', status: '200' })) >= 2,
    );
    const leaving = daemon.end();
    const isClosed = (): boolean => daemon.log.some(({ phase }) => phase === 'wait for slow readers');
    await eventually('the store is closed', isClosed);
    for (const socket of sockets) {
      let text = '';
      for await (const piece of socket) text += piece;
      assert.match(
        text.slice(-400),
        /HTTP\/1\.1 503 Service Unavailable\r\n(?:.*\r\n)*\r\ndevlxd is stopping; ask again\n$/,
      );
    }
    assert.equal(await leaving, 0);
    assert.deepEqual(
      daemon.log.filter(({ level }) => Number(level) >= 40),
      [],
    );
  } finally {
    await daemon.remove();
  }
});

test('a daemon that stops leaves the store in one file, and no socket', async () => {
  const daemon = await TestDaemon.start();
  await daemon.create('c1', { 'user.mark': 'here' });
  const wal = join(daemon.stateDir, 'devlxd.db-wal');
  assert.ok(readFileSync(wal).length > 0);
  assert.equal(await daemon.end(), 0);
  assert.deepEqual(existsSync(wal) && readFileSync(wal).length > 0, false);
  assert.deepEqual(readdirSync(join(daemon.runDir, 'guest')), []);
  await daemon.remove();
});

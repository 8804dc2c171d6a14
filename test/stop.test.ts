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

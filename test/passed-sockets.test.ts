import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { listenUnix } from '../src/gate/unix-socket.js';
import { TestDaemon, withDaemon } from './support/daemon.js';
import { Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

test('sockets that were passed to a daemon are left to whoever has passed them, also after takeovers', async () => {
  await withDaemon(
    async (daemon) => {
      const guest = guests.one();
      await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
      for (const end of ['SIGTERM', 'SIGKILL'] as const) {
        for (let round = 0; round < 2; round++) assert.equal(await daemon.takeOver(), 0);
        await daemon.end(end);
        assert.ok(existsSync(join(daemon.runDir, 'control.sock')));
        const answer = ask(guest.connect(daemon.socket), '/1.0/config/user.mark');
        await daemon.run();
        assert.equal((await answer).body, 'here');
      }
    },
    [],
    (options) => TestDaemon.startWithSockets(options),
  );
});

/** What a daemon says that is passed these descriptors by these names, and ends with. */
function passed(daemon: TestDaemon, descriptors: readonly number[], count: number, names: string): string {
  const program = `exec env LISTEN_PID=$$ LISTEN_FDS=${count} LISTEN_FDNAMES=${names} "$@"`;
  const { status, stderr } = spawnSync('sh', ['-c', program, 'sh', ...daemon.command()], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe', ...descriptors],
  });
  assert.equal(status, 1, stderr);
  return stderr;
}

test('sockets that are none, or have another name, are refused with a sentence', async () => {
  const daemon = TestDaemon.prepared();
  const file = openSync('/dev/null', 'r');
  const listening = listenUnix(join(daemon.directory, 'listening'), 0o600, 1);
  for (const [descriptors, count, names, sentence] of [
    [[file], 1, 'guest', /"guest" is no listening Unix stream socket/],
    [[listening], 1, 'http', /passed a socket named "http"; name it guest, control, vsock or metrics/],
    [[listening], 3, 'guest', /passed 3 sockets, but 1 names/],
    [[listening, listening], 2, 'guest:guest', /two sockets named "guest"/],
    [[listening], 1, 'vsock', /"vsock" is no listening stream socket of vsock/],
  ] as const) {
    assert.match(passed(daemon, descriptors, count, names), sentence);
  }
  closeSync(file);
  closeSync(listening);
  await daemon.remove();
});

test('what another version has stored, or is no connection at all, is let go of', async () => {
  await withDaemon(
    async (daemon) => {
      await daemon.create('c1', { 'user.mark': 'here' });
      await daemon.end();
      const file = openSync('/dev/null', 'r');
      await daemon.run([], {
        connection: file,
        'connection.7': file,
        'control-connection': file,
        'kept.of.another.version': file,
      });
      closeSync(file);
      assert.equal((await daemon.client.instances.get('c1')).config['user.mark'], 'here');
    },
    [],
    (options) => TestDaemon.startWithSockets(options),
  );
});

test('a state directory that cannot be used is named', async () => {
  await assert.rejects(TestDaemon.start(['--state-dir', '/dev/null/state']), /The --state-dir cannot be used: ENOTDIR/);
});

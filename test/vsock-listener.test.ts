import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Fault } from '../src/errors.js';
import { listenVsock } from '../src/gate/vsock.js';
import { TestDaemon, withDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';

const backlog = 16;
/** Above those that kernels give out by themselves. */
const firstPort = 3_000_000_000 - process.pid;

function problem(port: number): string | false {
  try {
    closeSync(listenVsock(port, backlog));
    return false;
  } catch (error) {
    return `this kernel has no vsock: ${error instanceof Fault ? error.message : error}`;
  }
}

/** The port of the last process of a daemon. */
function port(daemon: TestDaemon): unknown {
  return daemon.log.filter(({ msg }) => msg === 'listening').at(-1)?.['vsock'];
}

function refused(port: number): void {
  assert.throws(
    () => listenVsock(port, backlog),
    (error) =>
      error instanceof Fault && error.code === 'socket-in-use' && /--vsock-port\): another/.test(error.message),
  );
}

describe('the listener on vsock', { skip: problem(firstPort) }, () => {
  test('it listens where it is told, is handed over, and is closed with the last process', async () => {
    const wanted = 700_000_000 + process.pid;
    await withDaemon(
      async (daemon) => {
        assert.equal(port(daemon), wanted);
        refused(wanted);
        await daemon.takeOver();
        assert.equal(port(daemon), wanted);
        refused(wanted);
        await assert.rejects(TestDaemon.start(['--vsock-port', String(wanted)]), /another process listens there/);
        await daemon.run(['--takeover', '--vsock-port', '0']);
        assert.equal(port(daemon), undefined);
        await eventually('nobody listens there', () => problem(wanted) === false);
      },
      ['--vsock-port', String(wanted)],
    );
  });

  test('a service manager passes it as vsock, and the socket of --vsock-port as own-vsock', async () => {
    const daemon = TestDaemon.prepared();
    const passed = listenVsock(firstPort, backlog);
    await daemon.run([], { vsock: passed });
    assert.equal(port(daemon), firstPort);
    await daemon.end();
    await daemon.run([], { 'own-vsock': passed });
    assert.equal(port(daemon), undefined);
    await daemon.remove();
    closeSync(passed);
  });
});

test('a port that is none is refused, with the option’s name', async () => {
  await assert.rejects(
    TestDaemon.start(['--vsock-port', 'http']),
    /--vsock-port \(DEVLXD_VSOCK_PORT\) takes a whole number/,
  );
});

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { runInGuest } from './support/guest-processes.js';

const program = join(packageRoot, 'test/support/odd-senders.py');
const path = '/1.0/config/user.mark';

let daemon: TestDaemon;

before(async () => {
  daemon = await TestDaemon.start();
});

after(() => daemon.remove());

const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;

/** Processor time of the daemon, in hundredths of a second: proc(5), fields 14 and 15 of stat. */
function processorTime(): number {
  const stat = readFileSync(`/proc/${daemon.pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

test('whatever a Unix socket can do beside sending bytes: the guest is answered, and nothing of it stays', async () => {
  const before = descriptors();
  const { stdout, stderr, code } = await runInGuest({
    command: ['/usr/bin/python3', program, daemon.socket, path],
    before: (pid) => daemon.register('c1', pid, { 'user.mark': 'here' }),
  });
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    out_of_band_first: '200',
    out_of_band_between: '200 200',
    out_of_band_inside: '200',
    descriptors_with_each_byte: '200',
    descriptor_of_itself: '200',
    smallest_buffers: '200',
    half_closed: '200',
    spliced: '200',
    many_processes: '200',
    one_connection_of_many: '400 answers',
  });
  await eventually('the descriptors are back', () => descriptors() <= before);
  assert.equal(await daemon.metric('devlxd_connections'), 0);
});

test('an out-of-band byte that nothing follows does not keep the daemon busy', async () => {
  const idle = 'import socket,sys,time; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); ';
  const script = `${idle}s.send(b"!", socket.MSG_OOB); time.sleep(2); print("over")`;
  let began = 0;
  const { stdout } = await runInGuest({
    command: ['/usr/bin/python3', '-c', script, daemon.socket],
    before: async (pid) => {
      await daemon.register('c2', pid, {});
      began = processorTime();
    },
  });
  assert.equal(stdout.trim(), 'over');
  assert.ok(processorTime() - began < 100, `${processorTime() - began} hundredths of a second`);
});

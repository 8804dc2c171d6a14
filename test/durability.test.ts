import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask, exchange } from './support/http.js';

const path = '/1.0/config/user.value';

/** Something of the daemon's own that comes with each change, one after the other. */
const steps: readonly (readonly [call: string, times: readonly number[]])[] = [
  ['pwrite64', [1, 2, 3]], // into the log, inside of the commit
  ['fdatasync', [1]], // before the log is on the disk
  ['write', [1, 2]], // the store's thread wakes the other: it is on the disk
  ['writev', [1]], // the answer
  ['sendto', [1]], // the event
];

interface Event {
  readonly timestamp: string;
  readonly metadata: { readonly key: string; readonly value: string };
}

/** The events after one, up to and without that of a key. */
async function eventsSince(daemon: TestDaemon, guest: Guest, since: string, last: string): Promise<Event[]> {
  const query = since === '' ? '' : `?since=${since}`;
  const request = `GET /1.0/events${query} HTTP/1.1\r\nHost: lxd\r\n\r\n`;
  const text = await exchange(guest.connect(daemon.socket), request, (received) => received.includes(last));
  const events = [...text.matchAll(/^\{"type".*\}$/gm)].map(([line]) => JSON.parse(line) as Event);
  return events.filter(({ metadata }) => metadata.key !== last);
}

/** A process that kills the daemon when it makes a system call for the nth time. */
async function killerAt(pid: number, call: string, nth: number) {
  const inject = `inject=${call}:signal=KILL:when=${nth}`;
  const words = ['-f', '-p', String(pid), '-e', `trace=${call}`, '-e', inject, '-o', '/dev/null'];
  const strace = spawn('strace', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const closed = once(strace, 'close');
  for await (const line of createInterface({ input: strace.stderr })) {
    if (/Process \d+ attached/.test(line)) return { strace, closed };
    throw new Error(line);
  }
  throw new Error('strace ended');
}

function withoutStrace(t: TestContext): boolean {
  const missing = spawnSync('strace', ['-V']).error !== undefined;
  if (missing) t.skip('needs strace: apt-get install strace');
  return missing;
}

type Outcome = 'answered' | 'written, and not answered' | 'not written';

/** A daemon that is killed while it writes, again and again, and the guest that asks it. */
class Victim {
  readonly #daemon: TestDaemon;
  readonly #guest: Guest;
  #value = '0';
  #since = '';
  #number = 0;

  constructor(daemon: TestDaemon, guest: Guest) {
    this.#daemon = daemon;
    this.#guest = guest;
  }

  /** Kills it at the nth system call of this name during a change, and looks at what there is afterwards. */
  async killedAt(call: string, nth: number): Promise<Outcome> {
    const next = String(++this.#number);
    const answered = await this.#changeAndDie(next, call, nth);
    await this.#daemon.run();
    const { body: found } = await ask(this.#guest.connect(this.#daemon.socket), path);
    assert.ok(found === next || (found === this.#value && !answered), `${found} after ${this.#value}`);
    await this.#daemon.set('c1', { 'user.marker': next });
    if (this.#since !== '') {
      const events = await eventsSince(this.#daemon, this.#guest, this.#since, 'user.marker');
      const values = events.map(({ metadata }) => metadata.value);
      assert.deepEqual(values, found === next ? [next] : [], 'the events');
    }
    this.#value = found;
    this.#since = await lastTimestamp(this.#daemon, this.#guest);
    if (answered) return 'answered';
    return found === next ? 'written, and not answered' : 'not written';
  }

  /** Was it answered? */
  async #changeAndDie(value: string, call: string, nth: number): Promise<boolean> {
    // So that there is an event to be sent, which may be what it dies of.
    const listening = eventsSince(this.#daemon, this.#guest, this.#since, '"user.value","old_value"').catch(() => []);
    const { strace, closed } = await killerAt(this.#daemon.pid, call, nth);
    const change = this.#daemon.set('c1', { 'user.value': value });
    const answered = await Promise.race([
      change.then(
        () => true,
        () => false,
      ),
      closed.then(() => false),
    ]);
    await this.#daemon.end('SIGKILL');
    strace.kill('SIGKILL');
    await closed;
    await listening;
    return answered;
  }
}

test('killed at any step of a write: what was answered is there, and the events agree with the store', async (t) => {
  if (withoutStrace(t)) return;
  const daemon = await TestDaemon.start();
  const guests = new Guests();
  t.after(async () => {
    await guests.close();
    await daemon.remove();
  });
  const guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.value': '0' });
  const victim = new Victim(daemon, guest);
  const outcomes: Partial<Record<Outcome, number>> = {};
  for (const [call, times] of steps) {
    for (const nth of times) {
      const outcome = await victim.killedAt(call, nth);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  }
  t.diagnostic(JSON.stringify(outcomes));
  assert.ok(outcomes['not written'] && outcomes['written, and not answered'], 'both sides of the commit');
});

async function lastTimestamp(daemon: TestDaemon, guest: Guest): Promise<string> {
  const request = 'GET /1.0/events HTTP/1.1\r\nHost: lxd\r\n\r\n';
  const socket = guest.connect(daemon.socket);
  const heard = exchange(socket, request, (text) => text.includes('user.now'));
  let n = 0;
  const telling = setInterval(() => void daemon.set('c1', { 'user.now': String(n++) }), 20);
  const text = await heard;
  clearInterval(telling);
  await daemon.set('c1', { 'user.now': '' }); // after all of those
  return lastOf(await exchangeAll(daemon, guest, timestampIn(text)));
}

function timestampIn(text: string): string {
  return /"timestamp":"([^"]+)"/.exec(text)?.[1] ?? '';
}

function lastOf(events: readonly Event[]): string {
  return events.at(-1)?.timestamp ?? '';
}

/** Everything from a moment on, up to the removal of user.now. */
async function exchangeAll(daemon: TestDaemon, guest: Guest, since: string): Promise<Event[]> {
  const request = `GET /1.0/events?since=${since} HTTP/1.1\r\nHost: lxd\r\n\r\n`;
  const removal = '"value":""';
  const text = await exchange(guest.connect(daemon.socket), request, (received) => received.includes(removal));
  return [...text.matchAll(/^\{"type".*\}$/gm)].map(([line]) => JSON.parse(line) as Event);
}

test('on a full disk writes fail, change nothing and are told so; reads go on; room is all that it takes', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root, to mount a small tmpfs');
  const daemon = await TestDaemon.start();
  await daemon.end();
  const small = join(daemon.directory, 'small');
  mkdirSync(small);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'devlxd-test', small], { encoding: 'utf8' });
  if (mounted.status !== 0) {
    await daemon.remove();
    return t.skip(`cannot mount a tmpfs: ${mounted.stderr.trim()}`);
  }
  const full = await TestDaemon.start(['--state-dir', small]);
  const guests = new Guests();
  const operator = new Operator(() => full);
  try {
    const guest = guests.one();
    await full.register('c1', guest.pid, { 'user.value': 'before' });
    const heard = exchange(guest.connect(full.socket), 'GET /1.0/events HTTP/1.1\r\nHost: lxd\r\n\r\n', (text) => {
      return text.includes('user.after');
    });
    const ballast = join(small, 'ballast');
    spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096', 'count=2000']);
    const value = 'x'.repeat(200_000);
    const error = await operator.error('PATCH', '/1.0/instances/c1', { config: { 'user.value': value } });
    assert.match(error, /^507 The disk of .*devlxd\.db is full; nothing was changed/);
    assert.match(
      await operator.error('POST', '/1.0/instances', { name: 'c2', config: { 'user.a': value } }),
      /is full/,
    );
    assert.equal((await ask(guest.connect(full.socket), path)).body, 'before');
    assert.deepEqual(
      (await full.client.instances.list()).map(({ name }) => name),
      ['c1'],
    );
    rmSync(ballast);
    await full.set('c1', { 'user.value': value });
    await full.set('c1', { 'user.after': '1' });
    assert.equal((await ask(guest.connect(full.socket), path)).body, value);
    const events = (await heard).match(/"key":"user\.value","old_value":"before"/g);
    assert.equal(events?.length, 1);
    await full.end('SIGKILL');
    await full.run();
    assert.equal((await ask(guest.connect(full.socket), path)).body, value);
  } finally {
    await guests.close();
    await full.end();
    spawnSync('umount', ['-l', small]);
    await full.remove();
    await daemon.remove();
  }
});

test('what fills the log of a full disk up to the last byte is not half of anything', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root, to mount a small tmpfs');
  const outer = await TestDaemon.start();
  await outer.end();
  const small = join(outer.directory, 'small');
  mkdirSync(small);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'devlxd-test', small]).status !== 0) {
    await outer.remove();
    return t.skip('cannot mount a tmpfs');
  }
  const daemon = await TestDaemon.start(['--state-dir', small]);
  const operator = new Operator(() => daemon);
  try {
    let written = 0;
    for (let n = 0; n < 200; n++) {
      const lines = [1, 2, 3].map((part) =>
        JSON.stringify({ name: `n${n}-${part}`, config: { 'user.a': 'y'.repeat(9000) } }),
      );
      const error = await operator
        .error('POST', '/1.0/instances', lines.join('\n'), { 'content-type': 'application/x-ndjson' })
        .catch(() => undefined);
      if (error !== undefined) break;
      written++;
    }
    assert.ok(written > 0 && written < 200, `${written}`);
    await daemon.end('SIGKILL');
    await daemon.run();
    assert.equal((await daemon.client.instances.list()).length, written * 3);
  } finally {
    await daemon.end();
    spawnSync('umount', ['-l', small]);
    await daemon.remove();
    await outer.remove();
  }
});

test('a daemon starts on a disk without a byte left', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root, to mount a small tmpfs');
  const daemon = TestDaemon.prepared();
  mkdirSync(daemon.stateDir);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'devlxd-test', daemon.stateDir]).status !== 0) {
    await daemon.remove();
    return t.skip('cannot mount a tmpfs');
  }
  try {
    await daemon.run();
    await daemon.create('c1');
    spawnSync('dd', ['if=/dev/zero', `of=${join(daemon.stateDir, 'ballast')}`, 'bs=4096']);
    for (const end of ['SIGKILL', 'SIGTERM'] as const) {
      await daemon.end(end);
      await daemon.run();
      assert.equal((await daemon.client.instances.list()).length, 1);
    }
  } finally {
    await daemon.end();
    spawnSync('umount', ['-l', daemon.stateDir]);
    await daemon.remove();
  }
});

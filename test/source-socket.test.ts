import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { bestIdentityMethod, identityMethods } from '../src/gate/gate.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';
import { ManagedDaemon } from './support/managed-daemon.js';

let lxd: FakeLxd;
let guests: Guests;
let guest: Guest;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

beforeEach(async () => {
  lxd = new FakeLxd();
  await lxd.start();
  guest = guests.one();
  lxd.add('web', { config: { 'user.whose': 'of devlxd' }, pid: guest.pid });
});

afterEach(() => lxd.remove());

const options = () => ['--source', `lxd:${lxd.socket}`];

async function whose(): Promise<string> {
  return (await ask(guest.connect(lxd.guestSocket), '/1.0/config/user.whose')).body;
}

async function untilAnswers(expected: string): Promise<void> {
  await eventually(`answers come ${expected}`, async () => (await whose().catch(() => '')) === expected);
}

/** What a guest is answered that asks all the while, until the returned function is called. */
function asking(): () => Promise<Map<string, number>> {
  const answers = new Map<string, number>();
  let ended = false;
  const asked = (async () => {
    while (!ended) {
      const answer = await whose().catch(String);
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    }
  })();
  return async () => {
    ended = true;
    await asked;
    return answers;
  };
}

/** Nothing is left that was not there before devlxd. */
function assertGivenBack(): void {
  assert.deepEqual(readdirSync(dirname(lxd.guestSocket)), ['sock']);
}

/** Runs a daemon that has the socket; afterwards LXD has it again. */
async function whileTaken(work: (daemon: TestDaemon) => Promise<void>, more: readonly string[] = []): Promise<void> {
  const daemon = await TestDaemon.start([...options(), ...more]);
  try {
    await untilAnswers('of devlxd');
    await work(daemon);
  } finally {
    await daemon.remove();
  }
  assert.equal(await whose(), 'of LXD');
  assertGivenBack();
}

test("the guests' socket is taken and given back while a guest asks: every request is answered", async (t) => {
  const answers = asking();
  for (let round = 0; round < 3; round++) {
    const daemon = await TestDaemon.start(options());
    await untilAnswers('of devlxd');
    assert.equal(statSync(lxd.guestSocket).mode & 0o777, 0o666);
    assert.equal(await daemon.end(), 0);
    await daemon.remove();
    assert.equal(await whose(), 'of LXD');
    assertGivenBack();
  }
  const counted = await answers();
  t.diagnostic(`asked three times over: ${JSON.stringify(Object.fromEntries(counted))}`);
  assert.deepEqual([...counted.keys()].sort(), ['of LXD', 'of devlxd']);
});

for (const path of identityMethods.slice(identityMethods.indexOf(bestIdentityMethod()))) {
  test(`both sockets tell guests apart by ${path}`, async () => {
    const other = guests.one();
    const work = async (daemon: TestDaemon) => {
      await daemon.register('own', other.pid, { 'user.whose': 'its own' });
      for (const socket of [lxd.guestSocket, daemon.socket]) {
        assert.equal((await ask(guest.connect(socket), '/1.0/config/user.whose')).body, 'of devlxd');
        assert.equal((await ask(other.connect(socket), '/1.0/config/user.whose')).body, 'its own');
      }
    };
    await whileTaken(work, ['--identity', path]);
  });
}

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root, whose guests are other users of the host' };
test('other users of the host cannot reach the socket that is kept aside', asRoot, () =>
  whileTaken(async () => {
    assert.equal(statSync(`${dirname(lxd.guestSocket)}/.devlxd`).mode & 0o777, 0o700);
    const path = `${dirname(lxd.guestSocket)}/.devlxd/theirs`;
    assert.throws(() => guest.connect(path), /connect|EACCES|denied/i);
  }),
);

test('LXD stops, is killed and starts again: guests are answered by devlxd, and LXD gets its latest socket back', () =>
  whileTaken(async () => {
    await lxd.stopGracefully();
    await untilAnswers('of devlxd');
    await lxd.start();
    await untilAnswers('of devlxd');
    await eventually('it is followed again', () => lxd.listeners === 1);
    await lxd.stop();
    assert.equal(await whose(), 'of devlxd');
    await lxd.start();
    await untilAnswers('of devlxd');
  }));

test('LXD starts over and over: its socket is never in its way', () =>
  whileTaken(async () => {
    for (let round = 0; round < 10; round++) {
      await (round % 2 === 0 ? lxd.stop() : lxd.stopGracefully());
      await lxd.start(); // binding to a name that exists would throw
      await untilAnswers('of devlxd');
    }
  }));

test('the directory vanishes and another takes its place: the socket is bound and taken there', () =>
  whileTaken(async (daemon) => {
    await lxd.stop();
    rmSync(dirname(lxd.guestSocket), { recursive: true });
    await lxd.start();
    await untilAnswers('of devlxd');
    const failures = daemon.log.filter(({ msg }) => msg === "the source's guest socket cannot be taken");
    assert.ok(failures.length <= 1);
  }));

test('devlxd is killed and starts again, also without LXD: its last state is served, and LXD gets its socket back', () =>
  whileTaken(async (daemon) => {
    await daemon.end('SIGKILL');
    await assert.rejects(whose());
    await daemon.run();
    await untilAnswers('of devlxd');
    await lxd.stop();
    await daemon.end('SIGKILL');
    await daemon.run();
    await untilAnswers('of devlxd');
    await lxd.start();
    await untilAnswers('of devlxd');
  }));

const plants: Readonly<Record<string, (hidden: string, elsewhere: string) => void>> = {
  'a link to elsewhere': (hidden, elsewhere) => symlinkSync(elsewhere, hidden),
  'a link to nowhere': (hidden) => symlinkSync(`${hidden}/none`, hidden),
  'a file': (hidden) => writeFileSync(hidden, ''),
  'links instead of sockets': (hidden, elsewhere) => {
    mkdirSync(hidden);
    for (const name of ['own', 'theirs', 'new']) symlinkSync(join(elsewhere, name), join(hidden, name));
  },
};

for (const [what, plant] of Object.entries(plants)) {
  test(`root of a privileged guest plants ${what}, before and afterwards: nothing elsewhere is touched`, async (t) => {
    const hidden = join(dirname(lxd.guestSocket), '.devlxd');
    const elsewhere = mkdtempSync(join(tmpdir(), 'devlxd-elsewhere-'));
    t.after(() => rmSync(elsewhere, { recursive: true }));
    for (const name of ['own', 'theirs', 'new', 'other']) writeFileSync(join(elsewhere, name), name, { mode: 0o600 });
    const left = () => readdirSync(elsewhere).map((name) => [name, statSync(join(elsewhere, name)).mode & 0o777]);
    const before = left();
    plant(hidden, elsewhere);
    const daemon = await TestDaemon.start(options());
    t.after(() => daemon.remove());
    await untilAnswers('of devlxd');
    process.kill(daemon.pid, 'SIGSTOP'); // so that it is not faster
    renameSync(hidden, `${hidden}-moved`);
    plant(hidden, elsewhere);
    rmSync(lxd.guestSocket);
    process.kill(daemon.pid, 'SIGCONT');
    await untilAnswers('of devlxd');
    process.kill(daemon.pid, 'SIGSTOP');
    rmSync(hidden, { recursive: true });
    plant(hidden, elsewhere);
    process.kill(daemon.pid, 'SIGCONT');
    assert.equal(await daemon.end(), 0);
    assert.deepEqual(left(), before);
  });
}

test('what is in the directory that is not its own stays there, and is in no way', async () => {
  const hidden = join(dirname(lxd.guestSocket), '.devlxd');
  mkdirSync(join(hidden, 'deep', 'deeper'), { recursive: true, mode: 0o777 });
  const daemon = await TestDaemon.start(options());
  await untilAnswers('of devlxd');
  assert.equal(statSync(hidden).mode & 0o777, 0o700);
  assert.equal(await daemon.end(), 0);
  await daemon.remove();
  assert.equal(await whose(), 'of LXD');
  assert.deepEqual(readdirSync(hidden, { recursive: true }), ['deep', 'deep/deeper']);
});

test('what cannot be tidied up when it stops is logged, and it stops in order', async () => {
  const hidden = join(dirname(lxd.guestSocket), '.devlxd');
  const daemon = await TestDaemon.start(options());
  await untilAnswers('of devlxd');
  mkdirSync(join(hidden, 'new'));
  assert.equal(await daemon.end(), 0);
  assert.ok(daemon.log.some(({ msg }) => msg === "the source's guest socket cannot be given back"));
  assert.equal(daemon.log.at(-1)?.msg, 'stopped');
  await daemon.remove();
  assert.equal(await whose(), 'of LXD');
});

test('a takeover between two devlxds leaves the socket taken, and every request is answered', () =>
  whileTaken(async (daemon) => {
    const answers = asking();
    for (let round = 0; round < 2; round++) assert.equal(await daemon.takeOver(), 0);
    assert.deepEqual([...(await answers()).keys()], ['of devlxd']);
  }));

test('under a service manager, kill -9 leaves callers waiting instead of refused; a restart goes by way of LXD', async () => {
  const managed = await ManagedDaemon.start(options());
  try {
    await untilAnswers('of devlxd');
    const answers = asking();
    await managed.again('kill');
    assert.equal(await whose(), 'of devlxd');
    await managed.again('restart');
    await untilAnswers('of devlxd');
    const counted = await answers();
    // Who was connected when it was killed has lost that connection.
    assert.ok(
      [...counted.keys()].every((answer) => !/ECONNREFUSED|ENOENT/.test(answer)),
      JSON.stringify([...counted]),
    );
  } finally {
    assert.equal(await managed.remove(), 0);
  }
  assert.equal(await whose(), 'of LXD');
  assertGivenBack();
});

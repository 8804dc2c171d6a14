import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { type Answer, ask, Session } from './support/http.js';

let daemon: TestDaemon;
let guests: Guests;

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

type State = 'Ready' | 'Started';

const say = (guest: Guest, state: State): Promise<Answer> =>
  ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: JSON.stringify({ state }) });

const stateOf = async (guest: Guest) => JSON.parse((await ask(guest.connect(daemon.socket), '/1.0')).body).state;
const commits = () => daemon.metric('devlxd_store_commits_total', { outcome: 'done' });
const waited = () => daemon.metric('devlxd_limit_hits_total', { limit: 'state-writes-per-minute' });

test('a state that the instance is in already is not written, however often it is said', async () => {
  const guest = guests.one();
  await daemon.register('same', guest.pid);
  const session = new Session(guest.connect(daemon.socket));
  const patch = (state: State) => session.ask('/1.0', { method: 'PATCH', body: JSON.stringify({ state }) });
  assert.equal((await patch('Ready')).status, 200);
  const [before, waitedBefore] = [await commits(), await waited()];
  for (let n = 0; n < 500; n++) assert.equal((await patch('Ready')).status, 200);
  assert.deepEqual([await commits(), await waited()], [before, waitedBefore]);
  await session.close();
});

test('a guest that goes to and fro is given few writes, is answered each time, and its last state is kept', async () => {
  const [guest, other] = [guests.one(), guests.one()];
  await daemon.register('flapping', guest.pid);
  await daemon.register('other', other.pid);
  const before = await commits();
  let done = 0;
  let answered: Promise<unknown>;
  // More than may be written at once: the rest waits, and is one write.
  for (let said = 0; ; said++) {
    const waits = await waited();
    const states: State[] = Array.from({ length: 100 }, (_, n) => (n % 2 === 0 ? 'Ready' : 'Started'));
    const answers = states.map(async (state) => {
      assert.equal((await say(guest, state)).status, 200);
      done++;
    });
    answered = Promise.all(answers);
    await eventually(
      'all are answered, or one waits',
      async () => done === (said + 1) * 100 || (await waited()) > waits,
    );
    if ((await waited()) > waits) break;
  }
  assert.ok((await commits()) - before <= 12, `${(await commits()) - before} commits`);
  assert.equal((await say(other, 'Ready')).status, 200); // no other instance waits
  const stored = await stateOf(guest);
  const last: State = stored === 'Ready' ? 'Started' : 'Ready';
  const lastAnswer = say(guest, last);
  await eventually('it is asked', async () => (await stateOf(guest)) === stored);
  await daemon.end(); // what waits is written, and answered
  assert.equal((await lastAnswer).status, 200);
  await answered;
  await daemon.run();
  assert.equal(await stateOf(guest), last);
  assert.equal(await stateOf(other), 'Ready');
});

test('a state that waits is not written into the next run of the instance', async () => {
  const guest = guests.one();
  await daemon.register('again', guest.pid);
  const answers: Promise<unknown>[] = [];
  const waits = await waited();
  for (let n = 0; (await waited()) === waits; n++) answers.push(say(guest, n % 2 ? 'Started' : 'Ready').catch(() => 0));
  answers.push(say(guest, 'Ready').catch(() => 0));
  await daemon.stopInstance('again');
  await daemon.startInstance('again', guest.pid);
  assert.equal(await stateOf(guest), 'Started');
  await Promise.all(answers);
  assert.equal(await stateOf(guest), 'Started');
});

test('bytes that are no UTF-8 are refused by the name of the field, and change nothing', async () => {
  const guest = guests.one();
  await daemon.register('bytes', guest.pid);
  for (const [body, field] of [
    ['{"state":"Ready","note":"\xff"}', 'note'],
    ['{"state":"Ready\xc0\xaf"}', 'state'],
    ['{"a":{"deep":["\xed\xa0\x80"]},"state":"Ready"}', '0'],
    ['{"state":"Ready","k\xe9y":1}', 'k\ufffdy'],
  ] as const) {
    const bytes = Buffer.from(body, 'latin1');
    const { status, body: said } = await ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: bytes });
    assert.equal(status, 400);
    assert.match(said, new RegExp(`Invalid request body: ${field} is not UTF-8`));
    assert.equal(await stateOf(guest), 'Started');
  }
  const text = Buffer.from('{"state":"Ready","note":"Grüße \ufffd"}');
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: text })).status, 200);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AnswerLine, isOfUws, plainAnswer } from './support/answer-line.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests, needsGuestUsers } from './support/guest-processes.js';

// Most requests are answered by JavaScript without an exchange of uWebSockets. Nothing else may be different. A daemon
// without the response cache answers all of them so, and any with a Content-Length through uWebSockets.

/** About as long as what the gate sends in one piece, with its head. */
const nearLongest = Array.from({ length: 30 }, (_, n) => 3800 + n * 11);

const config: Readonly<Record<string, string>> = {
  'user.a': 'value',
  'user.umlaut': 'ünï\n',
  'user.emoji': '😀'.repeat(900),
  'user.lines': 'HTTP/1.1 200 OK\r\n\r\n\r\n',
  'user.%': 'percent',
  'user.ü': 'umlaut',
  'user.big': 'x'.repeat(300_000),
  'cloud-init.user-data': '#cloud-config\n',
  ...Object.fromEntries(nearLongest.map((length) => [`user.${length}`, 'z'.repeat(length)])),
  ...Object.fromEntries(nearLongest.map((length) => [`user.ü${length}`, 'ü'.repeat(length / 2)])),
};

const targets = [
  ...['/', '//', '/1.0', '/1.0/', '/1.0?a=b', '/1.0?', '/1.0//config', '/1.0/config', '/1.0/config/', '/1.0/config?x'],
  ...['/1.0/meta-data', '/1.0/devices', '/1.0/ubuntu-pro', '/1.0/ubuntu-pro/token', '/nothing', '/1.0/__proto__'],
  ...['/1.0/images/x/export', '/1.0/images/', '/1.0/identity', '/1.0/identity?audience=', '/1.0/events?since=x'],
  ...['a', 'none', '%zz', '%FF', '%25', '%C3%BC', 'ü', '\xfc', 'a/b', 'a?b=c?d', 'constructor', 'a#b'].map(
    (key) => `/1.0/config/user.${key}`,
  ),
  ...['limits.cpu', 'constructor', 'cloud-init.user-data', '%'].map((key) => `/1.0/config/${key}`),
  ...Object.keys(config).map((key) => `/1.0/config/${encodeURIComponent(key)}`),
];

/** As bytes: each character is one. */
const requestFor = (target: string, more = '') =>
  Buffer.from(`GET ${target} HTTP/1.1\r\nHost: lxd\r\n${more}\r\n`).toString('latin1');

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  guests = new Guests();
  guest = guests.one();
  daemon = await TestDaemon.start(['--response-cache', '0']);
  await daemon.register('c1', guest.pid, config);
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const lineOf = (uid = 0) => new AnswerLine(guest.connect(daemon.socket, { uid }));

/** How many of the answers have not come through uWebSockets. */
async function compareWays(uid?: number): Promise<number> {
  const [line, through] = [lineOf(uid), lineOf(uid)];
  let direct = 0;
  for (const target of targets) {
    line.socket.write(requestFor(target), 'latin1');
    const answer = await line.whole();
    through.socket.write(requestFor(target, 'Content-Length: 0\r\n'), 'latin1');
    const other = await through.whole();
    assert.equal(plainAnswer(answer), plainAnswer(other), target);
    assert.ok(isOfUws(other), target);
    direct += isOfUws(answer) ? 0 : 1;
  }
  for (const { socket } of [line, through]) socket.destroy();
  return direct;
}

test('an answer past uWebSockets is the same as one through it', async () => {
  const direct = await compareWays();
  assert.ok(direct > nearLongest.length && direct < targets.length - nearLongest.length / 2, String(direct));
});

test('the same for another user of the instance', needsGuestUsers, async () => {
  assert.ok((await compareWays(1000)) > targets.length / 2);
});

test('each request is counted once, by its endpoint and by its instance, also where its answer has to wait', async () => {
  const counted = () =>
    Promise.all([
      daemon.metric('devlxd_instance_requests_total', { instance: 'c1' }),
      daemon.metric('devlxd_guest_requests_total', { endpoint: '/1.0/config/{key}', status: '200' }),
      daemon.metric('devlxd_guest_request_duration_seconds_count'),
    ]);
  const earlier = await counted();
  const line = lineOf();
  line.socket.pause(); // so that the kernel soon takes no more of the answers
  const lengths = Array.from({ length: 300 }, (_, n) => nearLongest[n % 7]);
  line.socket.write(lengths.map((length) => requestFor(`/1.0/config/user.${length}`)).join(''));
  let [last, now] = [0, 0];
  await eventually('it takes none any more', async () => {
    [last, now] = [now, (await counted())[0]];
    return now > (earlier[0] ?? 0) && now === last;
  });
  assert.ok(now < (earlier[0] ?? 0) + 300, String(now));
  line.socket.resume();
  for (const length of lengths) assert.equal((await line.next()).split('\r\n\r\n')[1]?.length, length);
  const later = await counted();
  assert.deepEqual(
    later.map((count, index) => count - (earlier[index] ?? 0)),
    [300, 300, 300],
  );
  line.socket.destroy();
});

test('a connection that is to end ends after its answer', async () => {
  const line = lineOf();
  line.socket.write(requestFor('/1.0/config/user.a', 'Connection: close\r\n'));
  const answer = await line.whole();
  assert.ok(!isOfUws(answer) && answer.endsWith('\r\n\r\nvalue'), answer);
  assert.equal(await line.closed, 'closed');
});

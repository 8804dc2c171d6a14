// The real LXD, of Debian, with real containers of it. npm run test:lxd
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, beforeEach, describe, type TestContext, test } from 'node:test';
import type { InstanceWithState } from '../../src/api/types.js';
import { packageRoot } from '../../src/package-root.js';
import { TestDaemon } from '../support/daemon.js';
import type { GuestEvent } from '../support/event-stream.js';
import { eventually } from '../support/eventually.js';
import { type Answered, askAll, assertNoAnswerIsWrong, lineOf, requests } from './answers.js';
import type { LxdContainer, Running } from './container.js';
import { improvements, metaDataOf, sortedOf } from './improvements.js';
import { missingForRig, Rig } from './rig.js';

const programs = join(packageRoot, 'test/clients/programs');
const socket = '/dev/lxd/sock';

const rig = new Rig();
let c1: LxdContainer;
let c2: LxdContainer;

/** The reason, where it cannot be done. */
async function bringUp(): Promise<string | undefined> {
  const missing = missingForRig();
  if (missing !== undefined) return missing;
  try {
    await rig.start();
    const more = { 'cloud-init.user-data': '#cloud-config\n', 'limits.cpu': '1' };
    c1 = rig.container('c1', { 'user.mark': 'mark of c1', ...more });
    c2 = rig.container('c2', { 'user.mark': 'mark of c2' });
    return undefined;
  } catch (error) {
    return `LXD cannot run containers here: ${(error as Error).message}`;
  }
}

const problem = await bringUp();
if (problem !== undefined) await rig.remove();

describe('the real LXD', { skip: problem ?? false }, () => {
  after(() => rig.remove());

  beforeEach(() => assertGivenBack());

  /** devlxd, once it has the guests' socket, until the end of the test. */
  async function devlxd(t: TestContext): Promise<TestDaemon> {
    const daemon = await TestDaemon.start(['--source', `lxd:${rig.socket}`]);
    t.after(() => daemon.remove());
    await taken(daemon);
    return daemon;
  }

  const logged = ({ log }: TestDaemon, text: string) => log.filter(({ msg }) => msg === text).length;
  const taken = (daemon: TestDaemon, times = 1) =>
    eventually('the socket is taken', () => logged(daemon, "the source's guest socket is taken") >= times);
  const readTimes = (daemon: TestDaemon) => logged(daemon, 'source read');
  const config = async (daemon: TestDaemon, name: string) => (await daemon.client.instances.get(name)).config;

  function assertGivenBack(): void {
    assert.deepEqual(readdirSync(rig.guestDirectory), ['sock']);
  }

  const value = (container: LxdContainer, key: string) =>
    container.does('curl', '-s', '--unix-socket', socket, `http://lxd/1.0/config/${key}`);

  /** Asks for its own mark, all the while. */
  async function asker(container: LxdContainer): Promise<Running> {
    const program = container.bring(join(packageRoot, 'test/lxd/asker.py'));
    const asking = container.run('python3', program, socket, 'user.mark', '.');
    await eventually('it asks', () => Number(asking.read('count')) > 0);
    return asking;
  }

  async function answersOf(asking: Running): Promise<Record<string, number>> {
    asking.write('stop');
    await asking.end();
    return JSON.parse(asking.read('answers.json'));
  }

  async function asked(asking: Running, more = 50): Promise<void> {
    const before = Number(asking.read('count'));
    await eventually('it has asked some more', () => Number(asking.read('count')) >= before + more);
  }

  test('every request, answered by LXD and by devlxd: only the listed improvements differ', async (t) => {
    const ofLxd = await askAll(c1);
    const daemon = await devlxd(t);
    const ofOurs = await askAll(c1);
    const { 'volatile.cloud-init.instance-id': id = '' } = await config(daemon, 'c1');
    const better = {
      ...improvements,
      'GET /1.0/config': sortedOf(ofLxd.get('GET /1.0/config') as Answered),
      'GET /1.0/meta-data': metaDataOf(id),
    };
    const page = readFileSync(join(packageRoot, 'docs/lxd.md'), 'utf8');
    for (const request of requests) {
      const [theirs, ours] = [ofLxd, ofOurs].map((answers) => lineOf(answers.get(request) as never));
      const { lxd = theirs, devlxd = theirs, why = 'identical' } = better[request as keyof typeof better] ?? {};
      t.diagnostic(`${request}: ${why}`);
      assert.deepEqual({ request, lxd: theirs, devlxd: ours }, { request, lxd, devlxd });
      assert.ok(page.includes(`| \`${request}\` | ${why} |`), `docs/lxd.md has no line "${request}" with "${why}"`);
    }
  });

  test('the socket is taken and given back while a guest asks: every request is answered', async (t) => {
    const asking = await asker(c1);
    for (let round = 0; round < 3; round++) {
      const daemon = await TestDaemon.start(['--source', `lxd:${rig.socket}`]);
      await taken(daemon);
      await asked(asking);
      await daemon.remove();
      await asked(asking);
    }
    const answers = await answersOf(asking);
    t.diagnostic(`${JSON.stringify(answers)} while it was taken and given back three times`);
    assert.deepEqual(Object.keys(answers), ['200 mark of c1']);
  });

  test('what lxc changes arrives in a WebSocket and in a stream, in order', async (t) => {
    await devlxd(t);
    rig.lxc(['profile', 'create', 'more']);
    rig.lxc(['profile', 'add', 'c1', 'more']);
    const listeners = [
      c1.run('python3', '-u', c1.bring(join(programs, 'websocket-client.py')), 'listen', socket, '1000000'),
      c1.run('curl', '-sN', '--unix-socket', socket, 'http://lxd/1.0/events'),
    ];
    await eventually('both listen', async () => {
      rig.lxc(['config', 'set', 'c1', `user.first=${performance.now()}`]);
      return listeners.every((listener) => eventsOf(listener).length > 0);
    });
    // One after the other: of what changes faster than LXD is asked, the last value is what a guest hears.
    const heard = (what: (event: GuestEvent) => boolean) =>
      eventually('both have heard of it', () => listeners.every((listener) => eventsOf(listener).some(what)));
    for (let n = 1; n <= 5; n++) {
      rig.lxc(['config', 'set', 'c1', `user.n=${n}`]);
      await heard(({ metadata }) => metadata['key'] === 'user.n' && metadata['value'] === String(n));
    }
    rig.lxc(['profile', 'set', 'more', 'user.profile=of it']);
    await heard(({ metadata }) => metadata['key'] === 'user.profile');
    rig.lxc(['config', 'device', 'add', 'c1', 'tmp', 'disk', 'source=/tmp', 'path=/mnt', '-q']);
    await heard(({ metadata }) => metadata['action'] === 'added');
    rig.lxc(['config', 'device', 'remove', 'c1', 'tmp', '-q']);
    await heard(({ metadata }) => metadata['action'] === 'removed');
    // In a burst: what arrives is a chain from the first to the last.
    // LXD refuses some of them, since each was made from what another has changed.
    await Promise.all(Array.from({ length: 10 }, (_, n) => rig.lxcAside(['config', 'set', 'c1', `user.burst=${n}`])));
    const last = rig.lxc(['config', 'get', 'c1', 'user.burst']).trim();
    await heard(({ metadata }) => metadata['key'] === 'user.burst' && metadata['value'] === last);
    const [first, second] = listeners.map(eventsOf) as [GuestEvent[], GuestEvent[]];
    const shared = first.filter(({ timestamp }) => second.some((other) => other.timestamp === timestamp));
    assert.deepEqual(
      shared,
      second.filter(({ timestamp }) => first.some((other) => other.timestamp === timestamp)),
    );
    for (const events of [first, second]) {
      assertChain(events, 'user.n', ['1', '2', '3', '4', '5']);
      assertChain(events, 'user.burst');
      const timestamps = events.map(({ timestamp }) => timestamp);
      assert.deepEqual(timestamps, [...timestamps].sort());
      assert.deepEqual(
        events.filter(({ type }) => type === 'device').map(({ metadata }) => metadata['action']),
        ['added', 'removed'],
      );
    }
    rig.lxc(['profile', 'remove', 'c1', 'more']);
    rig.lxc(['profile', 'delete', 'more']);
  });

  /** What a guest that asks all the while is answered while LXD ends and starts. */
  async function whileLxdRestarts(signal: 'SIGTERM' | 'SIGKILL', meanwhile: () => Promise<void>) {
    const asking = await asker(c1);
    await rig.endDaemon(signal);
    await meanwhile();
    await rig.startDaemon();
    await asked(asking);
    const { '200 mark of c1': right = 0, ...wrong } = await answersOf(asking);
    const failures = Object.values(wrong).reduce((sum, count) => sum + count, 0);
    return { right, wrong, failures };
  }

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`LXD is ended by ${signal} and starts again: its guests are answered all the while`, async (t) => {
      const alone = await whileLxdRestarts(signal, async () => undefined);
      const daemon = await devlxd(t);
      const before = readTimes(daemon);
      const beside = await whileLxdRestarts(signal, async () => {
        assert.equal(await value(c2, 'user.mark'), 'mark of c2');
      });
      t.diagnostic(`LXD alone: ${JSON.stringify(alone)}; with devlxd: ${JSON.stringify(beside)}`);
      await eventually('it is followed again', () => readTimes(daemon) > before);
      assertNoAnswerIsWrong(beside.wrong);
      assert.ok(beside.failures < alone.failures);
      rig.lxc(['config', 'set', 'c1', `user.after=${signal}`]);
      await eventually('a change is seen', async () => (await value(c1, 'user.after')) === signal);
    });
  }

  test('what happens while devlxd is away is found afterwards, and nobody gets what is not theirs', async (t) => {
    const daemon = await devlxd(t);
    const c3 = rig.container('c3', { 'user.mark': 'mark of c3' });
    const c4 = rig.container('c4', { 'user.mark': 'mark of c4' });
    await eventually('both are known', async () => (await value(c4, 'user.mark')) === 'mark of c4');
    await daemon.end('SIGKILL');
    rig.lxc(['restart', '--force', 'c3']);
    rig.lxc(['delete', '--force', 'c4']);
    const again = rig.container('c5', { 'user.mark': 'mark of c5' });
    rig.lxc(['stop', '--force', 'c5']);
    rig.lxc(['rename', 'c5', 'c4']);
    rig.lxc(['start', 'c4']);
    await daemon.run();
    await eventually('it has been read', () => readTimes(daemon) >= 2);
    assert.equal(await value(c3, 'user.mark'), 'mark of c3');
    assert.match(await metaData(again.named('c4')), /^local-hostname: c4$/m);
    assert.equal(await value(again.named('c4'), 'user.mark'), 'mark of c5');
    await assertAgreement(daemon);
    rig.lxc(['delete', '--force', 'c3', 'c4']);
    await eventually('they are gone', async () => (await daemon.client.instances.list()).length === 2);
  });

  test('containers that are restarted, renamed, made and deleted, while devlxd follows', async (t) => {
    const daemon = await devlxd(t);
    let made = rig.container('m0', { 'user.mark': 'mark of m' });
    for (let round = 1; round <= 3; round++) {
      rig.lxc(['restart', '--force', made.name]);
      await eventually('it is answered', async () => (await value(made, 'user.mark')) === 'mark of m');
      rig.lxc(['stop', '--force', made.name]);
      rig.lxc(['rename', made.name, `m${round}`]);
      made = made.named(`m${round}`);
      rig.lxc(['start', made.name]);
      await eventually('it is answered', async () => (await value(made, 'user.mark')) === 'mark of m');
      await eventually('it has its new name', async () =>
        (await metaData(made)).includes(`local-hostname: m${round}\n`),
      );
    }
    await assertAgreement(daemon);
    rig.lxc(['delete', '--force', made.name]);
    await eventually('it is gone', async () => (await daemon.client.instances.list()).length === 2);
  });

  test('Ready is kept, and what belongs to LXD is changed by lxc only', async (t) => {
    const daemon = await devlxd(t);
    const patch = ['-X', 'PATCH', '-d', '{"state":"Ready"}', 'http://lxd/1.0'];
    assert.equal(await c1.does('curl', '-s', '--unix-socket', socket, ...patch), '');
    assert.match(await c1.does('curl', '-s', '--unix-socket', socket, 'http://lxd/1.0'), /"state":"Ready"/);
    await assert.rejects(daemon.set('c1', { 'user.a': 'b' }), /belongs to LXD; change it with lxc/);
  });

  test("images are LXD's, whole and in part, for whom LXD would give them", async (t) => {
    const [image] = JSON.parse(rig.lxc(['query', '/1.0/images?recursion=1']));
    const url = `http://lxd/1.0/images/${image.fingerprint}/export`;
    const curl = (...words: string[]) => c1.does('curl', '-s', '--unix-socket', socket, ...words, url);
    const status = (...words: string[]) => curl('-o', '/dev/null', '-w', '%{http_code} %{size_download}', ...words);
    await devlxd(t);
    assert.match(await status(), /^403 /);
    rig.lxc(['config', 'set', 'c1', 'security.devlxd.images=true']);
    t.after(() => rig.lxc(['config', 'unset', 'c1', 'security.devlxd.images']));
    await eventually('c1 may have images, but not this one', async () => (await status()).startsWith('404 '));
    rig.lxc(['query', '-X', 'PATCH', '-d', '{"public": true}', `/1.0/images/${image.fingerprint}`]);
    assert.equal(await status(), `200 ${image.size}`);
    assert.equal(await status('-r', '1000-'), `206 ${image.size - 1000}`);
    assert.match(await curl('-I'), new RegExp(`^HTTP/1.1 200 OK\r\n(.*\r\n)*Content-Length: ${image.size}\r\n`));
    const hash = await c1.does('sh', '-c', `curl -s --unix-socket ${socket} ${url} | sha256sum`);
    assert.equal(hash, `${image.fingerprint}  -\n`);
    await rig.endDaemon('SIGKILL');
    assert.match(await status(), /^503 /);
    await rig.startDaemon();
    await eventually('it can be had again', async () => (await status()).startsWith('200 '));
  });

  test('a privileged guest of a second LXD, with the directory of this one: it is told nothing and breaks nothing', async (t) => {
    const daemon = await devlxd(t);
    const second = new Rig();
    const bait = join(second.directory, 'bait');
    t.after(async () => {
      await second.remove();
      // Its root has put LXD's own socket away; LXD binds another one.
      await rig.endDaemon('SIGTERM');
      await rig.startDaemon();
    });
    await second.start();
    writeFileSync(bait, 'of the host');
    second.container('p1', { 'security.privileged': 'true' });
    second.lxc([
      'config',
      'device',
      'add',
      'p1',
      'theirs',
      'disk',
      `source=${rig.guestDirectory}`,
      'path=/theirs',
      '-q',
    ]);
    const inside = (...words: string[]) => second.lxc(['exec', 'p1', '--', ...words]);
    const asked = inside('curl', '-s', '--unix-socket', '/theirs/sock', 'http://lxd/1.0/config/user.mark');
    assert.equal(asked, 'Process ID not found in container\n');
    for (const planting of [
      'cd /theirs; mv sock .devlxd/new; ln -sfT "$1" sock',
      'cd /theirs; rm -r .devlxd; ln -sfT "$2" .devlxd; ln -sfT "$1" sock',
      'cd /theirs; rm -r sock .devlxd; mkdir sock; touch .devlxd',
    ]) {
      inside('sh', '-c', `${planting} || :`, 'sh', bait, second.directory); // devlxd may be quicker than it
      inside('sh', '-c', '[ ! -d /theirs/sock ] || rmdir /theirs/sock');
      await eventually('c1 is answered', async () => (await value(c1, 'user.mark').catch(() => '')) === 'mark of c1');
    }
    assert.equal(readFileSync(bait, 'utf8'), 'of the host');
    assert.equal((await daemon.client.instances.list()).length, 2);
  });

  test('the guest that ends LXD: devlxd lives, and the other container is answered', async (t) => {
    const daemon = await devlxd(t);
    const load = c1.bring(join(packageRoot, 'build/Release/bench_load'));
    const latency = c2.bring(join(packageRoot, 'build/Release/bench_load'));
    const asking = ['--socket', socket, '--seconds', '4', '--warmup', '0'];
    const quiet = JSON.parse(await c2.does(latency, ...asking, '--rate', '100', '--connections', '1'));
    const hostile = [
      c1.run(load, ...asking, '--connections', '4'),
      c1.run(load, ...asking, '--connections', '1', '--mode', 'connect'),
    ];
    const loud = JSON.parse(await c2.does(latency, ...asking, '--rate', '100', '--connections', '1'));
    for (const attack of hostile) t.diagnostic(`hostile: ${await attack.end()}`);
    t.diagnostic(`the other container, quiet: ${JSON.stringify(quiet)}`);
    t.diagnostic(`the other container, beside it: ${JSON.stringify(loud)}`);
    assert.equal(await value(c1, 'user.mark'), 'mark of c1');
    assert.equal(daemon.log.filter(({ level }) => Number(level) >= 50).length, 0);
  });

  const metaData = (container: LxdContainer) =>
    container.does('curl', '-s', '--unix-socket', socket, 'http://lxd/1.0/meta-data');

  /** Both list the same instances, with the same inits and configuration. */
  async function assertAgreement(daemon: TestDaemon): Promise<void> {
    const theirs = JSON.parse(rig.lxc(['query', '/1.0/instances?recursion=2'])) as {
      name: string;
      expanded_config: Record<string, string>;
      state: { pid: number };
    }[];
    for (const { name, expanded_config, state } of theirs) {
      await eventually(`${name} agrees`, async () => {
        const { config, state: own } = await daemon.client.instances
          .listWithState()
          .then((all) => all.find((instance) => instance.name === name) as InstanceWithState);
        return own.pid === state.pid && JSON.stringify(sorted(config)) === JSON.stringify(sorted(expanded_config));
      });
    }
    const ours = await daemon.client.instances.list();
    assert.deepEqual(ours.map(({ name }) => name).sort(), theirs.map(({ name }) => name).sort());
  }
});

/** But for what each of the two daemons says itself: how far the guest is. */
function sorted(config: Readonly<Record<string, string>>): [string, string][] {
  const others = Object.entries(config).filter(([key]) => !key.startsWith('volatile.last_state.'));
  return others.sort(([a], [b]) => (a < b ? -1 : 1));
}

function eventsOf(listener: Running): GuestEvent[] {
  const lines = listener.read('out').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

/** Each change of a key begins where the one before it ended. */
function assertChain(events: readonly GuestEvent[], key: string, values?: readonly string[]): void {
  const changes = events.map(({ metadata }) => metadata).filter((metadata) => metadata['key'] === key);
  if (values !== undefined)
    assert.deepEqual(
      changes.map(({ value }) => value),
      values,
    );
  changes.reduce(
    (before, { old_value, value }) => {
      assert.equal(old_value, before['value'] ?? '');
      return { value };
    },
    {} as Record<string, unknown>,
  );
}

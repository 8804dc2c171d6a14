// What happens to containers of a real LXD or Incus, while devlxd answers their guests.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { metricValue, samplesOf } from '../../src/metrics/exposition.js';
import { packageRoot } from '../../src/package-root.js';
import { TestDaemon } from '../support/daemon.js';
import { eventually as within } from '../support/eventually.js';
import { askAll, assertNoAnswerIsWrong, lineOf, requests } from './answers.js';
import type { LxdContainer, Running } from './container.js';
import type { Flavour } from './flavour.js';
import { missingForRig, Rig } from './rig.js';

/** The npm scripts go on for longer than npm test. */
const rounds = Number(process.env['DEVLXD_ROUNDS'] ?? 1);

/**
 * No other container on this host has this name. Incus 7 knows a caller's by its cgroup, whose name LXC changes where
 * another daemon's container has it already.
 */
const named = (name: string): string => `${name}-${process.pid}`;

/** A real daemon takes its time where it shares its processors with others. */
const eventually = (what: string, happened: () => boolean | Promise<boolean>) => within(what, happened, 60);

/** differences: where devlxd answers otherwise, and why; docs/lxd.md has the same table under this heading */
export async function life(
  flavour: Flavour,
  heading: string,
  differences: Readonly<Record<string, string>>,
): Promise<void> {
  const rig = new Rig(flavour);
  const socket = flavour.guestSocket;
  let c1: LxdContainer;
  let c2: LxdContainer;
  const problem = await bringUp();
  if (problem !== undefined) await rig.remove();

  /** The reason, where it cannot be done. */
  async function bringUp(): Promise<string | undefined> {
    const missing = missingForRig(flavour);
    if (missing !== undefined) return missing;
    try {
      await rig.start();
      const more = { 'cloud-init.user-data': '#cloud-config\n{}\n', 'limits.cpu': '1' };
      c1 = rig.container(named('c1'), { 'user.mark': 'mark of c1', ...more });
      c2 = rig.container(named('c2'), { 'user.mark': 'mark of c2' });
      return undefined;
    } catch (error) {
      return `${flavour.title} cannot run containers here: ${(error as Error).message}`;
    }
  }

  const logged = ({ log }: TestDaemon, text: string) => log.filter(({ msg }) => msg === text).length;
  const away = (daemon: TestDaemon) => logged(daemon, 'the source is away; its last state is served');
  const lists = (daemon: TestDaemon) => logged(daemon, 'source read');
  const isTaken = async (daemon: TestDaemon) =>
    metricValue(samplesOf(await daemon.client.metrics()), 'devlxd_source_socket_taken') === 1;
  const value = (container: LxdContainer, key: string) =>
    container.does('curl', '-s', '--unix-socket', socket, `http://lxd/1.0/config/${key}`);
  const config = async (daemon: TestDaemon, name: string) => (await daemon.client.instances.get(name)).config;

  async function devlxd(t: TestContext): Promise<TestDaemon> {
    const daemon = await TestDaemon.start(['--source', `${flavour.source}:${rig.socket}`]);
    t.after(async () => {
      await daemon.remove();
      assert.deepEqual(readdirSync(rig.guestDirectory), ['sock']);
    });
    await eventually('the socket is taken', () => isTaken(daemon));
    return daemon;
  }

  const isAnswered = (container: LxdContainer) =>
    eventually('it is answered', async () => /^mark of c\d$/.test(await value(container, 'user.mark').catch(() => '')));

  async function does(...words: readonly string[]): Promise<void> {
    assert.ok(await rig.lxcAside(words), words.join(' '));
  }

  async function restarted(container: LxdContainer): Promise<void> {
    await does('restart', '--force', container.name);
    await does('stop', '--force', container.name);
    await does('start', container.name);
    await isAnswered(container);
  }

  const snapshots =
    flavour.source === 'incus'
      ? { make: ['snapshot', 'create'], restore: ['snapshot', 'restore'], remove: ['snapshot', 'delete'] }
      : { make: ['snapshot'], restore: ['restore'], remove: undefined };

  async function changed(container: LxdContainer): Promise<void> {
    const { name } = container;
    await does(...snapshots.make, name, 's');
    await does('stop', '--force', name);
    await does(...snapshots.restore, name, 's');
    await (snapshots.remove === undefined ? does('delete', `${name}/s`) : does(...snapshots.remove, name, 's'));
    await does('rename', name, 'elsewhere');
    await does('rename', 'elsewhere', name);
    await does('project', 'switch', 'default');
    await does('move', name, name, '--target-project', 'other');
    await does('move', name, name, '--project', 'other', '--target-project', 'default');
    await does('copy', name, 'another');
    await does('start', name);
    await does('delete', '--force', 'another');
    await isAnswered(container);
  }

  /** Asks for its own mark, all the while. */
  async function asker(container: LxdContainer): Promise<Running> {
    const asking = container.run(
      'python3',
      container.bring(join(packageRoot, 'test/lxd/asker.py')),
      socket,
      'user.mark',
      '.',
    );
    await eventually('it asks', () => Number(asking.read('count')) > 0);
    return asking;
  }

  async function asked(asking: Running, more = 50): Promise<void> {
    const before = Number(asking.read('count'));
    await eventually('it has asked some more', () => Number(asking.read('count')) >= before + more);
  }

  async function answersOf(asking: Running): Promise<{ right: number; wrong: Record<string, number>; failed: number }> {
    asking.write('stop');
    await asking.end();
    const { '200 mark of c1': right = 0, ...wrong } = JSON.parse(asking.read('answers.json')) as Record<string, number>;
    return { right, wrong, failed: Object.values(wrong).reduce((sum, count) => sum + count, 0) };
  }

  describe(flavour.title, { skip: problem ?? false }, () => {
    after(() => rig.remove());

    test('every endpoint, answered by it and by devlxd: only what is listed differs', async (t) => {
      const theirs = await askAll(c1, socket);
      await c1.does(
        'curl',
        '-s',
        '-X',
        'PATCH',
        '-d',
        '{"state":"Started"}',
        '--unix-socket',
        socket,
        'http://lxd/1.0',
      );
      await devlxd(t);
      const ours = await askAll(c1, socket);
      const page = readFileSync(join(packageRoot, 'docs/lxd.md'), 'utf8');
      const part = page.slice(page.indexOf(heading));
      for (const request of requests) {
        const [their, our] = [theirs, ours].map((answers) => lineOf(answers.get(request) as never));
        const why = differences[request] ?? (their === our ? 'identical' : undefined);
        t.diagnostic(`${request}: ${why}`);
        assert.ok(why, `${request}: ${their}, and devlxd ${our}`);
        // In which order it lists keys is another each time.
        if (request !== 'GET /1.0/config') assert.equal(their === our, why === 'identical', `${request}: ${their}`);
        assert.ok(part.includes(`| \`${request}\` | ${why} |`), `docs/lxd.md has no line "${request}" with "${why}"`);
      }
    });

    if (flavour.source === 'incus')
      test('an image, and that there is none, as Incus gives them', async (t) => {
        const [{ fingerprint }] = JSON.parse(rig.lxc(['query', '/1.0/images?recursion=1']));
        const setPublic = (isPublic: boolean) =>
          rig.lxc(['query', '-X', 'PATCH', '-d', `{"public": ${isPublic}}`, `/1.0/images/${fingerprint}`]);
        setPublic(true);
        rig.lxc(['config', 'set', c1.name, 'security.guestapi.images=true']);
        t.after(() => {
          setPublic(false);
          rig.lxc(['config', 'set', c1.name, 'security.guestapi.images=false']);
        });
        const image = `http://incus/1.0/images/${fingerprint}/export`;
        const other = `http://incus/1.0/images/${'f'.repeat(64)}/export`;
        const asked = (...words: string[]) => c1.does('curl', '-s', '--unix-socket', socket, ...words);
        const all = async () => {
          const answers = [await asked('-I', image), await asked('-i', '-r', '5-9', image), await asked('-i', other)];
          return [...answers, await asked('-i', 'http://incus/1.0/images/none/export')].map(headSorted);
        };
        const theirs = await all();
        await devlxd(t);
        assert.deepEqual(await all(), theirs);
      });

    test('the socket is taken and given back while a guest asks: every request is answered', async (t) => {
      const asking = await asker(c1);
      for (let round = 0; round < 2; round++) {
        const daemon = await TestDaemon.start(['--source', `${flavour.source}:${rig.socket}`]);
        await eventually('the socket is taken', () => isTaken(daemon));
        await asked(asking);
        await daemon.remove();
        await asked(asking);
      }
      const answers = await answersOf(asking);
      t.diagnostic(JSON.stringify(answers));
      assert.deepEqual(answers.wrong, {});
    });

    test('a container lives through everything, while keys of another are set: nothing is lost, and nothing away', async (t) => {
      const daemon = await devlxd(t);
      const c3 = rig.container('c3', { 'user.mark': 'mark of c3' });
      await does('project', 'create', 'other', '-c', 'features.images=false', '-c', 'features.profiles=false');
      let isOver = false;
      let set = 0;
      const setting = (async () => {
        while (!isOver) {
          const n = String(++set);
          assert.ok(await rig.lxcAside(['config', 'set', c2.name, `user.n=${n}`]));
          await eventually('the value arrives', async () => (await config(daemon, c2.name))['user.n'] === n);
        }
      })();
      for (let round = 0; round < rounds; round++) await restarted(c3);
      assert.equal(lists(daemon), 1, 'all were asked for again');
      for (let round = 0; round < Math.ceil(rounds / 3); round++) await changed(c3);
      isOver = true;
      await setting;
      t.diagnostic(`${set} values arrived; ${lists(daemon)} lists of all, ${away(daemon)} times away`);
      assert.equal(away(daemon), 0);
      assert.ok(await rig.lxcAside(['delete', '--force', 'c3']));
      await eventually('it is gone', async () => (await daemon.client.instances.list()).length === 2);
    });

    test('a container is restarted all the while, and a key of another set every 0.4 s: the last value arrives', async (t) => {
      const daemon = await devlxd(t);
      const c4 = rig.container('c4', { 'user.mark': 'mark of c4' });
      t.after(() => rig.lxc(['delete', '--force', 'c4']));
      const times = rounds === 1 ? 5 : 150; // a minute
      let set = 0;
      const setting = (async () => {
        while (set < times) {
          const next = pause(400);
          assert.ok(await rig.lxcAside(['config', 'set', c2.name, `user.often=${++set}`]));
          await next;
        }
      })();
      let restarts = 0;
      while (set < times) {
        await does('restart', '--force', c4.name);
        restarts++;
      }
      await setting;
      await eventually('the last value', async () => (await value(c2, 'user.often')) === String(times));
      t.diagnostic(`${restarts} restarts; ${lists(daemon)} lists of all, ${away(daemon)} times away`);
      assert.deepEqual([lists(daemon), away(daemon)], [1, 0]);
    });

    test('what is changed outside arrives as events, in order', async (t) => {
      const daemon = await devlxd(t);
      const stream = c1.run('curl', '-sN', '--unix-socket', socket, 'http://lxd/1.0/events');
      const events = () =>
        stream
          .read('out')
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line).metadata as Record<string, string>);
      await eventually('it listens', () => metricListeners(daemon));
      const wanted: string[] = [];
      const heard = async (event: string) => {
        wanted.push(event);
        await eventually(event, () => events().map(eventText).join() === wanted.join());
      };
      for (let n = 1; n <= 5; n++) {
        rig.lxc(['config', 'set', c1.name, `user.n=${n}`]);
        await heard(`user.n=${n}`);
      }
      rig.lxc(['profile', 'set', 'default', 'user.profile=of it']);
      await heard('user.profile=of it');
      rig.lxc(['config', 'device', 'add', c1.name, 'tmp', 'disk', 'source=/tmp', 'path=/mnt', '-q']);
      await heard('added tmp');
      rig.lxc(['config', 'device', 'remove', c1.name, 'tmp', '-q']);
      await heard('removed tmp');
    });

    test('Ready reaches it', async (t) => {
      const daemon = await devlxd(t);
      const extensions = JSON.parse(rig.lxc(['query', '/1.0'])).api_extensions as string[];
      const patch = ['-X', 'PATCH', '-d', '{"state":"Ready"}', 'http://lxd/1.0'];
      assert.equal(await c1.does('curl', '-s', '--unix-socket', socket, ...patch), '');
      const ready = () => rig.lxc(['config', 'get', c1.name, 'volatile.last_state.ready']).trim();
      if (!extensions.includes('instance_ready_state')) {
        t.diagnostic('it keeps no such state');
        return;
      }
      await eventually('it knows', () => ready() === 'true');
      assert.equal(JSON.parse(rig.lxc(['query', `/1.0/instances/${c1.name}`])).status, 'Ready');
      assert.equal(await daemon.status(c1.name), 'Ready');
    });

    for (const end of ['SIGTERM', 'SIGKILL'] as const) {
      test(`it is ended by ${end} and starts again: guests are answered all the while`, async (t) => {
        const daemon = await devlxd(t);
        const before = lists(daemon);
        const asking = await asker(c1);
        const began = performance.now();
        await rig.endDaemon(end);
        await isAnswered(c2);
        await rig.startDaemon();
        const awayMilliseconds = performance.now() - began;
        await eventually('it is followed again', () => lists(daemon) > before);
        await eventually('the socket is taken', () => isTaken(daemon));
        await asked(asking);
        const answers = await answersOf(asking);
        t.diagnostic(JSON.stringify(answers));
        assertNoAnswerIsWrong(answers.wrong);
        // Alone it would fail all the while, once in 10 ms.
        assert.ok(answers.failed * 10 < awayMilliseconds / 4, `${JSON.stringify(answers)} in ${awayMilliseconds} ms`);
        rig.lxc(['config', 'set', c1.name, `user.after=${end}`]);
        await eventually('a change is seen', async () => (await value(c1, 'user.after')) === end);
      });
    }

    test('it shuts down and starts again: the socket is taken in the new directory, and nothing of ours is below it', async (t) => {
      const daemon = await devlxd(t);
      await rig.shutDown();
      await rig.startDaemon();
      for (const { name } of [c1, c2]) await rig.lxcAside(['start', name]);
      await eventually('the socket is taken', () => isTaken(daemon));
      await isAnswered(c2);
      assert.deepEqual(rig.belowTheMount(), []);
    });
  });

  const metricListeners = async (daemon: TestDaemon) =>
    (metricValue(samplesOf(await daemon.client.metrics()), 'devlxd_listeners', { role: 'guest' }) ?? 0) > 0;
}

function eventText(metadata: Record<string, string>): string {
  return metadata['key'] === undefined
    ? `${metadata['action']} ${metadata['name']}`
    : `${metadata['key']}=${metadata['value']}`;
}

/**
 * Of an answer: its headers in one order, without what tells the time or belongs to the connection. An error of Incus
 * 6.0.4 has one newline more.
 */
function headSorted(answer: string): string {
  const end = answer.indexOf('\r\n\r\n');
  const [status, ...headers] = answer.slice(0, end).split('\r\n');
  const kept = headers.filter((line) => !/^(?:date|connection|uwebsockets):/i.test(line)).sort();
  const body = answer.slice(end).replace(/\n+$/, '');
  return [status, ...kept.filter((line) => !body.includes('"error"') || !/^content-length:/i.test(line)), body].join(
    '\n',
  );
}

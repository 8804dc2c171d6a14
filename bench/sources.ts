// npm run bench:sources: what devlxd costs the daemon whose guests it serves, and what it costs itself: its start, all
// containers booting at once, stops in a row. Of a real LXD, or Incus, with as many containers as come to be in the given
// time, beside the same without devlxd; and of a fake Incus with 5,000 guests. Prints tables in Markdown.
import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'commander';
import { incus, lxd } from '../test/lxd/flavour.js';
import { makeImage, missingForRig, Rig } from '../test/lxd/rig.js';
import { TestDaemon } from '../test/support/daemon.js';
import { eventually } from '../test/support/eventually.js';
import { FakeLxd } from '../test/support/fake-lxd.js';
import { type Guest, Guests } from '../test/support/guest-processes.js';
import { describeMachine, findPins } from './machine.js';
import { machineLine } from './print.js';
import { costOf, head, type Measured } from './source-costs.js';
import { Workplace } from './workplace.js';

const flavours = { lxd, incus: incus('bookworm-backports', ['libcowsql0', 'libraft0']) };
const options = new Command('npm run bench:sources --')
  .option('--source <name>', 'the real one: lxd, or incus (6.0.4)', 'lxd')
  .option('--containers <n>', 'of the real one; 0: it is left out', Number, 200)
  .option('--seconds <s>', 'in which these are made; there are as many as come to be', Number, 150)
  .option('--fake <n>', 'guests of the fake one; 0: it is left out', Number, 5000)
  .parse()
  .opts<{ source: keyof typeof flavours; containers: number; seconds: number; fake: number }>();

/** The most that anything may take. */
const longestSeconds = 300;
/** For stops one after the other; the rest is stopped at once. */
const stopSeconds = 60;
/** Clients of the real one at the same time: LXD 5.0.2 fails in its own database when 200 start at once. */
const lanes = 8;

const pins = findPins();
const workplace = new Workplace();
/** What was begun, and is ended: the last first. */
const endings: (() => Promise<void>)[] = [];

async function end(): Promise<void> {
  for (const ending of endings.splice(0).reverse()) await ending();
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void end().finally(() => process.exit(130)));

const print = (text: string): boolean => process.stdout.write(text);
print(`${machineLine(describeMachine(pins))}\n`);
try {
  if (options.containers > 0) await ofRealOne();
  await end();
  if (options.fake > 0) await ofFakeOne(options.fake);
} finally {
  await end();
}

/** A devlxd beside this source, which does not run yet. */
function devlxd(source: string): TestDaemon {
  const daemon = TestDaemon.prepared(['--source', source]);
  endings.push(() => daemon.remove());
  return daemon;
}

/** Until it knows that so many run, and nothing else has changed since. */
function hasRunning(daemon: TestDaemon, count: number): Promise<void> {
  return eventually(
    `${count} run`,
    async () => {
      await pause(50); // it answers as it follows
      const isRead = (await daemon.metric('devlxd_source_age_seconds')) === 0;
      return isRead && (await daemon.metric('devlxd_instances', { status: 'Running' })) === count;
    },
    longestSeconds,
  );
}

async function ofRealOne(): Promise<void> {
  const flavour = flavours[options.source];
  const missing = flavour === undefined ? `there is no ${options.source}` : missingForRig(flavour);
  if (missing !== undefined) return void print(`SKIPPED: ${missing}\n`);
  const rig = new Rig(flavour);
  endings.push(() => rig.remove());
  await rig.start();
  rig.lxc(['image', 'import', makeImage(`${rig.directory}/bare`, ['/bin/busybox']), '--alias', 'bare']);
  const body = 'mark of c0';
  const { pid } = rig.container('c0', { 'user.mark': body });
  const names = await made(rig);
  const { enter, path: directory } = rig.guestDirectoryInside;
  const guest = { pid, enter, socket: `${directory}/sock`, path: '/1.0/config/user.mark', body };
  const measured: Measured = { pins, workplace, guest, sourcePid: rig.pid };
  const start = () => inLanes(names, (name) => must(rig, ['start', name]));
  const stopAll = (left = names) => inLanes(left, (name) => must(rig, ['stop', '--force', name]));
  const version = JSON.parse(rig.lxc(['query', '/1.0'])).environment.server_version;
  print(`\n${flavour.title} ${version}, ${names.length} containers and one that asks\n\n${head}`);
  const row = async (what: string, daemon: TestDaemon | undefined, work: () => Promise<void>) =>
    print(await costOf(what, measured, daemon, work));

  await row(`all boot, ${lanes} at a time, without devlxd`, undefined, start);
  let stops = 0;
  const deadline = performance.now() + stopSeconds * 1000;
  await row('stops one after the other, without devlxd', undefined, async () => {
    while (stops < names.length && performance.now() < deadline)
      await must(rig, ['stop', '--force', names[stops++] as string]);
  });
  await stopAll(names.slice(stops));
  const daemon = devlxd(`${options.source}:${rig.socket}`);
  await daemon.run();
  await eventually('the socket is taken', async () => (await daemon.metric('devlxd_source_socket_taken')) !== 0, 60);
  await row(`all boot, ${lanes} at a time`, daemon, async () => {
    await start();
    await hasRunning(daemon, names.length + 1);
  });
  await row(`a change of each, ${lanes} at a time`, daemon, async () => {
    await changedAll(rig, names);
    await hasRunning(daemon, names.length + 1);
  });
  await row(`the same ${stops} stops one after the other`, daemon, async () => {
    for (const name of names.slice(0, stops)) await must(rig, ['stop', '--force', name]);
    await hasRunning(daemon, names.length - stops + 1);
  });
  await stopAll(names.slice(stops));
  await start();
  await daemon.end();
  const other = devlxd(`${options.source}:${rig.socket}`);
  await row('devlxd starts for the first time, while all run', other, async () => {
    await other.run();
    await hasRunning(other, names.length + 1);
  });
  await other.end();
  await row('devlxd starts again', other, async () => {
    await other.run();
    await hasRunning(other, names.length + 1);
  });
  await row(`all stopped, ${lanes} at a time`, other, async () => {
    await stopAll();
    await hasRunning(other, 1);
  });
  await other.end();
  await inLanes(names, (name) => rig.lxcAside(['delete', '--force', name]));
}

/** The names of as many as there are in time. */
async function made(rig: Rig): Promise<string[]> {
  const deadline = performance.now() + options.seconds * 1000;
  const names: string[] = [];
  const wanted = Array.from({ length: options.containers }, (_, index) => `bare-${index + 1}`);
  await inLanes(wanted, async (name) => {
    if (performance.now() > deadline) return;
    await must(rig, ['init', 'bare', name, '-q']);
    names.push(name);
  });
  return names;
}

async function changedAll(rig: Rig, names: readonly string[]): Promise<void> {
  await inLanes(names, (name) => must(rig, ['config', 'set', name, `user.changed=${performance.now()}`]));
}

async function inLanes(names: readonly string[], work: (name: string) => Promise<unknown>): Promise<void> {
  const left = [...names];
  const lane = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) await work(name);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

async function must(rig: Rig, words: readonly string[]): Promise<void> {
  if (!(await rig.lxcAside(words))) throw new Error(`it refuses: ${words.slice(0, 4).join(' ')}`);
}

async function ofFakeOne(count: number): Promise<void> {
  const fake = new FakeLxd('incus');
  endings.push(() => fake.remove());
  await fake.start();
  const guests = new Guests();
  endings.push(() => guests.close());
  const asking = guests.one();
  const body = 'of the one that asks';
  fake.add('asks', { config: { 'user.mark': body }, pid: asking.pid });
  const all = Array.from({ length: count }, (_, index) => `c${index}`);
  for (const name of all) fake.add(name, { config: { 'user.mark': name } });
  const running = new Map<string, Guest>();
  const boot = (): void => {
    for (let first = 0; first < all.length; first += 500) {
      const names = all.slice(first, first + 500);
      for (const [index, guest] of guests.spawn(names.length).entries()) running.set(names[index] as string, guest);
    }
    for (const [name, { pid }] of running) fake.change(name, { pid }, 'instance-started');
  };
  const stop = (name: string): void => {
    running.get(name)?.kill();
    running.delete(name);
    fake.change(name, { pid: 0 }, 'instance-stopped');
  };
  const daemon = devlxd(`incus:${fake.socket}`);
  await daemon.run();
  await hasRunning(daemon, 1);
  const guest = { pid: asking.pid, socket: daemon.socket, path: '/1.0/config/user.mark', body };
  const figure = (n: number): string => n.toLocaleString('en-US');
  print(
    `\na fake Incus, ${figure(count)} guests and one that asks; the fake one and its events are made by one process\n\n${head}`,
  );
  const row = async (what: string, setting: Measured, work: () => Promise<void> | void) =>
    print(
      await costOf(what, setting, daemon, async () => {
        await work();
        await hasRunning(daemon, running.size + 1);
      }),
    );
  const measured: Measured = { pins, workplace, guest };
  await row('all boot at once', measured, boot);
  await daemon.end();
  await row('devlxd starts again, while all run', { pins, workplace }, () => daemon.run());
  const some = all.slice(0, Math.ceil(count / 5));
  await row(`${figure(some.length)} changes at once`, measured, () => {
    for (const name of some) fake.change(name, { config: { 'user.mark': 'changed' } }, 'instance-updated');
  });
  await row(`${figure(some.length)} stops, each 5 ms after the one before`, measured, async () => {
    for (const name of some) {
      stop(name);
      await pause(5);
    }
  });
  await row(`${figure(some.length)} stops at once`, measured, () => {
    for (const name of all.slice(some.length, 2 * some.length)) stop(name);
  });
  await row(`${figure(some.length)} deletions at once`, measured, () => {
    for (const name of some) {
      fake.delete(name);
      fake.tell('instance-deleted', name);
    }
  });
}

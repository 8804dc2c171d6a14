import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { askForAnswer } from '../bench/answer.js';
import { comparisonLines } from '../bench/compare.js';
import { devlxd } from '../bench/daemon.js';
import { exports } from '../bench/exports.js';
import { fanout, fanoutToAll } from '../bench/fanout.js';
import { identity } from '../bench/identity.js';
import { makeImage } from '../bench/image.js';
import { instanceMemory } from '../bench/instances.js';
import { listeners } from '../bench/listeners.js';
import { describeMachine, findPins } from '../bench/machine.js';
import { runTrial } from '../bench/measure.js';
import { noisyNeighbour } from '../bench/neighbour.js';
import { costsOf, costsText } from '../bench/operator-costs.js';
import { applies, beside, lists, starts, storedMemory } from '../bench/operators.js';
import { floorFanout, floorIdentify, floorPlain, http as httpPeer, peer, uws as uwsPeer } from '../bench/peers.js';
import { writeReport } from '../bench/report/write.js';
import { requests } from '../bench/requests.js';
import { startup } from '../bench/startup.js';
import { storm, stormConfig } from '../bench/storm.js';
import { type Bench, loadShare, type Side, serverShare, type Trial } from '../bench/trial.js';
import { machineTrials } from '../bench/vm.js';
import { tools, Workplace } from '../bench/workplace.js';
import { batches, writes } from '../bench/writes.js';
import { keptServers } from './support/kept-servers.js';

const workplace = new Workplace();
const setting = { plan: { rounds: 1, seconds: 0.2, warmup: 0.05, scale: 1 }, pins: findPins(), workplace };
const bench: Bench = { ...setting, answer: await askForAnswer(setting, devlxd()) };

const asking: Omit<Trial, 'sides'> = {
  name: 'short',
  about: 'a trial of the tests',
  unit: 'requests/s',
  reference: 'floor',
  goal: { of: 'ratio', atLeast: 0 },
  columns: [],
  measure: requests({ mode: 'keepalive', connections: 4, path: '/1.0' }),
};

const { kept, end } = keptServers(bench);
after(async () => assert.deepEqual(await end(), []));

const daemon = kept(devlxd({ options: ['--limit-connections-per-instance', '0'] }));
const [http, uws] = [kept(httpPeer), kept(uwsPeer)];

/** Sides that do what the trial is about, so that nothing but a fault can make it fail. */
async function succeeds(trial: Trial): Promise<void> {
  const result = await runTrial(trial, bench);
  assert.deepEqual(result.faults, []);
  assert.deepEqual(
    result.sides.map(({ side }) => side),
    trial.sides.map(({ name }) => name),
  );
  for (const { side, median, also } of result.sides) {
    assert.ok(median > 0, `${side} has a figure`);
    for (const share of [serverShare, loadShare]) assert.ok((also[share] ?? 0) > 0, `${side}: ${share}`);
  }
}

async function faultOf(side: Side): Promise<string> {
  const result = await runTrial({ ...asking, sides: [side, floorPlain] }, bench);
  assert.equal(result.goal, null, 'a trial that failed has met no goal');
  assert.deepEqual(
    result.sides.map(({ side }) => side),
    ['floor'],
    'a wrong answer is nobody’s figure',
  );
  assert.equal(result.faults.length, 1);
  return result.faults[0] ?? '';
}

test('everyone answers on kept connections, with as many bytes', () =>
  succeeds({ ...asking, sides: [daemon, floorPlain, floorIdentify, uws, http] }));

const machines = machineTrials(false);
const machineSides = machines[0]?.sides.map(kept) ?? [];
for (const trial of machines) {
  test(`${trial.name}: a virtual machine is answered through its agent`, () =>
    succeeds({ ...trial, sides: machineSides }));
}

test('everyone answers on new connections', () =>
  succeeds({
    ...asking,
    sides: [
      devlxd({ name: 'devlxd-unkept', options: ['--response-cache', '0'] }),
      floorPlain,
      floorIdentify,
      uws,
      http,
    ],
    measure: requests({ mode: 'connect', connections: 4, path: '/1.0' }),
  }));

test('an open loop asks as often as it is told to', async () => {
  const measure = requests({ mode: 'keepalive', connections: 4, path: '/1.0', rate: 500 });
  const { sides, faults } = await runTrial({ ...asking, sides: [floorPlain], measure }, bench);
  assert.deepEqual(faults, []);
  assert.equal(Math.round(sides[0]?.median ?? 0), 500);
});

test('listeners are held and weighed', async () => {
  const sides = [daemon, uws];
  const { faults, sides: weighed } = await runTrial(
    { ...asking, reference: 'uws', sides, freshServers: true, measure: listeners(300) },
    bench,
  );
  assert.deepEqual(faults, []);
  assert.deepEqual(
    weighed.map(({ also }) => also['listeners']),
    [300, 300],
  );
});

test('an event reaches all listeners', async () => {
  const sides = [daemon, floorFanout];
  const { faults, sides: heard } = await runTrial({ ...asking, sides, measure: fanout(300) }, bench);
  assert.deepEqual(faults, []);
  assert.deepEqual(
    heard.map(({ also }) => also['listeners']),
    [300, 300],
  );
});

test('an event reaches a listener in each of several guests', async () => {
  const sides = [devlxd({ announcesToAll: true }), floorFanout];
  const trial = { ...asking, sides, freshServers: true, measure: fanoutToAll(20) };
  const { faults, sides: told } = await runTrial(trial, bench);
  assert.deepEqual(faults, []);
  assert.deepEqual(
    told.map(({ also }) => also['listeners']),
    [20, 20],
  );
});

test('a caller is identified on each path of the kernel and at each depth', async () => {
  const { faults, sides } = await runTrial(identity(100), bench);
  assert.deepEqual(faults, []);
  assert.ok(sides.every(({ median }) => median > 0));
});

test('instances are weighed', async () => {
  const { faults, sides } = await runTrial(instanceMemory(10), bench);
  assert.deepEqual(faults, []);
  assert.deepEqual(
    sides.map(({ also }) => also['instances']),
    [10, 10],
  );
});

test('a guest asks beside a flood', async () => {
  const { faults, sides } = await runTrial(noisyNeighbour(), bench);
  assert.deepEqual(faults, []);
  assert.equal(sides.length, 3);
});

test('an event that does not come fails the trial', async () => {
  const { faults } = await runTrial({ ...asking, sides: [uws], measure: fanout(3, 100) }, bench);
  assert.match(faults[0] ?? '', /^uws: 0 events for 3 of 3 listeners/);
});

test('instances boot all at once', async () => {
  const sides = [devlxd({ config: stormConfig }), floorIdentify];
  const { faults, sides: booted } = await runTrial({ ...asking, sides, measure: storm(30) }, bench);
  assert.deepEqual(faults, []);
  assert.equal(booted.length, 2);
});

test('an instance that is not answered as it should be fails the trial', async () => {
  const { faults } = await runTrial({ ...asking, sides: [daemon], measure: storm(2) }, bench);
  assert.deepEqual(faults, ['devlxd: 8 right answers, 8 wrong ones, 0 errors']);
});

test('a daemon that starts again answers those who ran before', async () => {
  const sides = [devlxd({ stored: 20 }), devlxd({ name: 'empty' })];
  const { faults, sides: started } = await runTrial({ ...asking, sides, measure: startup }, bench);
  assert.deepEqual(faults, []);
  assert.equal(started.length, 2);
});

test('what operators cost is one table, from one daemon for each number of instances', async () => {
  const few = { ...bench, plan: { ...bench.plan, seconds: 0.1, scale: 0.001 } };
  const costs = await costsOf(few, 10_000, () => undefined);
  assert.deepEqual(costs.faults, []);
  for (const name of [
    'nobody',
    'list, of another daemon',
    'apply, from nothing',
    'list',
    'profile-cloud-init',
    'apply',
  ])
    assert.ok((costs.waits.get(name)?.longestMilliseconds ?? 0) > 0, name);
  assert.ok(costs.appliedPerSecond > 0 && costs.startSeconds > 0);
  assert.match(costsText([costs]), /^ {2}start to first answer of a guest, s +[\d.]+/m);
});

test('a guest asks beside an operator, and what an operator does is measured by size', async () => {
  // Other works than this one are in the table above.
  for (const trial of [beside('list', 10, 0), lists([5]), applies([5]), starts([5]), storedMemory([5])]) {
    const { faults, sides } = await runTrial(trial, bench);
    assert.deepEqual(faults, []);
    assert.deepEqual(sides.length, trial.sides.length);
  }
});

test('devlxd and SQLite make durable writes', async () => {
  const trials = [
    [writes(3), ['devlxd', 'http + sqlite', 'sqlite']],
    [batches(3, { of: 'value', atLeast: 0 }), ['devlxd', 'sqlite']],
  ] as const;
  for (const [trial, names] of trials) {
    const { faults, sides } = await runTrial(trial, bench);
    assert.deepEqual(faults, []);
    assert.deepEqual(
      sides.map(({ side, median }) => [side, median > 0]),
      names.map((name) => [name, true]),
    );
  }
});

test('a wrong answer fails the trial', async () => {
  const wrong = peer('wrong', (socket, { answer }) => [
    join(tools, 'bench_floor'),
    ...['--socket', socket, '--head', answer.head, '--body', answer.body.replace('Started', 'started')],
  ]);
  assert.match(await faultOf(wrong), /^wrong: 0 right answers, \d+ wrong ones, 0 errors/);
});

test('fewer listeners than wanted fail the trial', async () => {
  const sides = [devlxd({ options: ['--limit-connections-per-instance', '8'] })];
  const { faults } = await runTrial({ ...asking, sides, measure: listeners(9) }, bench);
  assert.match(faults[0] ?? '', /^devlxd: 8 of 9 listeners/);
});

test('a server that does not start fails the trial', async () => {
  const dying = peer('dying', () => [process.execPath, '-e', 'console.error("enough"); process.exit(3)']);
  assert.match(await faultOf(dying), /^dying: dying ended with 3: enough/);
});

test('an image is exported by devlxd and by cat', async () => {
  const { faults, sides } = await runTrial(exports({ readers: 2, megabytes: 1, downloads: 4 }), bench);
  assert.deepEqual(faults, []);
  assert.deepEqual(
    sides.map(({ side, median }) => [side, median > 0]),
    [
      ['devlxd', true],
      ['cat', true],
    ],
  );
});

test('an image with other bytes fails the trial', async () => {
  const wrong = peer('wrong', (socket, { workplace }) => [
    join(tools, 'bench_cat'),
    socket,
    makeImage(workplace, 1).file,
  ]);
  const trial = { ...exports({ readers: 1, megabytes: 2, downloads: 1 }), sides: [wrong] };
  assert.match((await runTrial(trial, bench)).faults[0] ?? '', /^wrong: 0 right answers, 1 wrong ones, 0 errors/);
});

test('a report shows the plots, the goals and what failed', async () => {
  const measured = await runTrial({ ...asking, sides: [floorPlain] }, bench);
  const trials = ['keepalive-1', 'connect', 'instances', 'listeners-1000', 'identity', 'export-1'].map((name) => ({
    ...measured,
    name,
  }));
  const goal = { of: 'ratio', subject: 'floor', atLeast: 2, reached: 1, met: false } as const;
  const [first, ...others] = trials;
  assert.ok(first);
  const failed = { ...first, goal, faults: ['<b>wrong</b>'] };
  const directory = workplace.path('report');
  writeReport(directory, { machine: describeMachine(setting.pins), plan: setting.plan, trials: [failed, ...others] });
  const page = readFileSync(join(directory, 'report.html'), 'utf8');
  assert.equal(page.split('<svg').length - 1, 10); // each for wide and for narrow pages
  assert.match(page, /&lt;b&gt;wrong&lt;\/b&gt;/);
  assert.match(page, /floor \/ floor &gt;= 2.*not met/);
  assert.doesNotMatch(page, /(?:src|href)=/);
  assert.match(readFileSync(join(directory, 'report.md'), 'utf8'), /\*\*not met\*\*/);
});

test('a run is compared with an earlier one, the reference too', async () => {
  const measured = await runTrial({ ...asking, sides: [floorPlain] }, bench);
  const [floor] = measured.sides;
  assert.ok(floor);
  const side = (median: number, ratio: number) => ({ ...floor, side: 'devlxd', median, ratio, values: [median] });
  const before = { ...measured, sides: [side(100, 0.5)] };
  const line = comparisonLines({ ...measured, sides: [side(80, 0.6)] }, { trials: [before] });
  assert.match(line, /^ {2}devlxd +100 .* 80 .* 0\.80 +DIFFER +1\.20$/m);
  assert.match(
    comparisonLines({ ...measured, sides: [side(100, 1)] }, { trials: [before] }),
    /1\.00 +overlap +2\.00$/m,
  );
  assert.match(comparisonLines(measured, { trials: [] }), /not in the earlier run/);
});

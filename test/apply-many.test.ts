import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Item } from '../src/apply/plan.js';
import { partsOf } from '../src/apply/transactions.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';

let daemon: TestDaemon;
const commandLine = new CommandLine(() => daemon);

before(async () => {
  daemon = await TestDaemon.start(['--limit-batch-lines', '5', '--limit-control-body', '4096']);
});

after(() => daemon.remove());

function apply(lines: readonly object[], ...options: string[]) {
  return commandLine.run(
    ['apply', '-f', '-', '--quiet', ...options],
    lines.map((line) => JSON.stringify(line)).join('\n'),
  );
}

function instances(count: number, config: Record<string, string> = {}): object[] {
  return Array.from({ length: count }, (_, index) => ({ name: `c${index}`, config }));
}

test('what is more than a batch may have takes several transactions, which is said before they begin', async () => {
  const dry = apply(instances(12), '--dry-run');
  assert.equal(
    dry.stdout,
    '12 to create, 0 to change, 0 as they should be.\n3 transactions; each is all or nothing.\n',
  );
  assert.equal(dry.status, 3);
  const done = apply(instances(12));
  assert.equal(done.stdout, `${dry.stdout}Done.\n`, done.stderr);
  assert.equal((await daemon.client.instances.list()).length, 12);
  const one = apply([{ name: 'c0', config: { 'user.a': '1' } }]);
  assert.equal(one.stdout, '0 to create, 1 to change, 0 as they should be.\nDone.\n');
});

test('so does what has more bytes', async () => {
  const { stdout, stderr } = apply(instances(3, { 'user.long': 'ä'.repeat(1000) }));
  assert.equal(
    stdout,
    `0 to create, 3 to change, 0 as they should be.\n3 transactions; each is all or nothing.\nDone.\n`,
    stderr,
  );
});

test('a profile that changes the entity tags of its instances is written before them', async () => {
  const profile = (data: string) => ({ kind: 'profile', name: 'web', config: { 'cloud-init.user-data': data } });
  const used = (user: string) => instances(8, { 'user.by': user }).map((each) => ({ ...each, profiles: ['web'] }));
  assert.equal(apply([profile('#cloud-config\n'), ...used('a')]).status, 0);
  const fresh = [{ kind: 'profile', name: 'fresh' }, ...instances(8).map((each) => ({ ...each, profiles: ['fresh'] }))];
  assert.deepEqual([apply(fresh, '--dry-run').status, apply(fresh, '--dry-run').stderr], [3, '']);
  const { stdout, stderr } = apply([profile('#cloud-config\npackages: [nginx]\n'), ...used('b')]);
  assert.match(stdout, /^0 to create, 9 to change, .*\n3 transactions; each is all or nothing\.\nDone\.\n$/, stderr);
  const now = await daemon.client.instances.list({ filter: 'config.user.by=b' });
  assert.equal(now.length, 8);
});

test('of many, only those that differ are written', async () => {
  const wanted = (value: string) => instances(100, { 'user.many': value });
  assert.match(apply(wanted('1')).stdout, /\n20 transactions; each is all or nothing\.\nDone\.\n$/);
  const unchanged = apply(wanted('1'));
  assert.equal(unchanged.stdout, '0 to create, 0 to change, 100 as they should be.\n', unchanged.stderr);
  const mixed = [...wanted('1').slice(2), { name: 'c0', description: 'first' }, { name: 'fresh' }];
  const { stdout, stderr } = apply(mixed);
  assert.equal(stdout, '1 to create, 1 to change, 98 as they should be.\nDone.\n', stderr);
  const { description, config } = await daemon.client.instances.get('c0');
  assert.deepEqual([description, config['user.many']], ['first', '1']);
});

test('one that fails changes nothing, those before it hold, and both are said', async () => {
  const lines = [...instances(7, { 'user.late': '1' }), { name: '1bad' }];
  const dry = apply(lines, '--dry-run');
  assert.deepEqual([dry.status, dry.stdout], [1, '']);
  assert.match(dry.stderr, /^devlxd: instance 1bad: name: "1bad" is not an instance name/);
  const { status, stderr } = apply(lines);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /transaction 2 of 2: instance 1bad: name: "1bad" is not an instance name.*; the 1 before it are done/,
  );
  assert.equal((await daemon.client.instances.list({ filter: 'config.user.late=1' })).length, 5);
});

test('a transaction is filled to the limits and no further', () => {
  const item = (kind: Item['kind'], name: string): Item => ({
    kind,
    name,
    isNew: true,
    changes: [],
    line: { method: 'POST', path: '/1.0/instances', body: { name } },
  });
  const items = Array.from({ length: 10 }, (_, index) => item('instance', `c${index}`));
  const sizes = (lines: number, bytes: number) => partsOf(items, { lines, bytes }).map((part) => part.items.length);
  const length = partsOf(items.slice(0, 1), { lines: 0, bytes: 0 })[0]?.body.length ?? 0;
  assert.deepEqual(sizes(0, 0), [10]);
  assert.deepEqual(sizes(10, 10 * length), [10]);
  assert.deepEqual(sizes(4, 0), [4, 4, 2]);
  assert.deepEqual(sizes(0, 3 * length), [3, 3, 3, 1]);
  assert.deepEqual(sizes(0, 1), Array(10).fill(1));
  assert.deepEqual(sizes(5, 0).length, 2);
  const mixed = [item('profile', 'p'), ...items];
  assert.deepEqual(partsOf(mixed, { lines: 11, bytes: 0 }).length, 1);
  assert.deepEqual(
    partsOf(mixed, { lines: 10, bytes: 0 }).map((part) => part.items.map(({ kind }) => kind[0]).join('')),
    ['p', 'iiiiiiiiii'],
  );
});

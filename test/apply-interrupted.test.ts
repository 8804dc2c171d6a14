import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { type Item, planOf } from '../src/apply/plan.js';
import { type Part, partsOf } from '../src/apply/transactions.js';
import { readWanted, type Wanted } from '../src/apply/wanted.js';
import { writeParts } from '../src/apply/write.js';
import { HostClient } from '../src/client/host-client.js';
import type { Progress } from '../src/client/requests.js';
import { CommandLine } from './support/command.js';
import { ControlRelay } from './support/control-relay.js';
import { TestDaemon, withDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';

// However an apply of several transactions ends: those that are done are whole and the first ones, and what is said of
// them is so.

const lines = 3;
const options = ['--limit-batch-lines', String(lines)];
const quietly = (): Progress => () => undefined;

let daemon: TestDaemon;
let relay: ControlRelay;
let directory: string;

before(async () => {
  daemon = await TestDaemon.start(options);
  directory = mkdtempSync(join(tmpdir(), 'devlxd-relay-'));
  relay = new ControlRelay(directory, daemon.runDir);
  await relay.listen();
});

after(async () => {
  await relay.close();
  rmSync(directory, { recursive: true, force: true });
  await daemon.remove();
});

/** What is wanted of each instance, and what it is before; '' it is not there. */
const sets = fc.array(fc.record({ was: fc.constantFrom('', 'a', 'b'), wanted: fc.constantFrom('b', 'c') }), {
  minLength: 1,
  maxLength: 14,
});

let runs = 0;

/** Instances of names that no other run has. */
class Run {
  readonly wanted: Wanted;
  readonly text: string;
  readonly #prefix = `r${++runs}-`;
  readonly #host: TestDaemon;

  constructor(host: TestDaemon, set: readonly { readonly wanted: string }[]) {
    this.#host = host;
    this.text = set
      .map(({ wanted }, index) => JSON.stringify({ name: this.name(index), config: { 'user.v': wanted } }))
      .join('\n');
    this.wanted = readWanted(this.text, 'file');
  }

  name(index: number): string {
    return `${this.#prefix}${index}`;
  }

  async prepare(set: readonly { readonly was: string }[]): Promise<void> {
    const bodies = set.map(({ was }, index) => ({ name: this.name(index), config: { 'user.v': was } }));
    const known = bodies.filter(({ config }) => config['user.v'] !== '');
    for (let from = 0; from < known.length; from += lines) {
      const some = known.slice(from, from + lines);
      await this.#host.client.batch(some.map((body) => ({ method: 'POST', path: '/1.0/instances', body })));
    }
  }

  async parts(client: HostClient): Promise<Part[]> {
    return partsOf((await planOf(client, this.wanted, 'default')).items, { lines, bytes: 0 });
  }

  write(client: HostClient, parts: readonly Part[], progressOf: (part: Part, index: number) => Progress = quietly) {
    return writeParts(client, parts, () => planOf(client, this.wanted, 'default'), progressOf);
  }

  /** How many of the transactions are done, which must be the first ones, and whole. except: what another has changed */
  async done(parts: readonly Part[], except = ''): Promise<number> {
    await eventually('all operations end', async () =>
      (await this.#host.client.operations.list()).every(({ status }) => status !== 'Running'),
    );
    const now = new Map<string, string | undefined>();
    for (const { name, config } of await this.#host.client.instances.list()) now.set(name, config['user.v']);
    const wanted = new Map(this.wanted.instances.map(({ name, config }) => [name, config?.['user.v']]));
    const states = parts.map(({ items }) => {
      const names = items.map(({ name }) => name).filter((name) => name !== except);
      const each = new Set(names.map((name) => now.has(name) && now.get(name) === wanted.get(name)));
      assert.ok(each.size <= 1, 'a transaction is all or nothing');
      return each.has(true);
    });
    const first = states.filter(Boolean).length;
    assert.deepEqual(states, [...Array(first).fill(true), ...Array(states.length - first).fill(false)]);
    return first;
  }
}

/** What an apply has failed with. */
async function failureOf(applied: Promise<void>): Promise<string> {
  return applied.then(
    () => '',
    (error: Error) => error.message,
  );
}

/** What is said of an end is so. failure: '' where it went well; done: transactions that are, of all */
function checkSaid(failure: string, done: number, all: number): void {
  const [, at = '1'] = /^transaction (\d+) of \d+: /.exec(failure) ?? [];
  const before = Number(at) - 1;
  if (failure === '') assert.equal(done, all);
  else if (failure.includes('whether it is done is not known')) assert.ok([before, before + 1].includes(done), failure);
  else assert.equal(done, before, failure);
}

function withLine({ kind, name, isNew, changes }: Item, line: Item['line']): Item {
  return { kind, name, isNew, changes, line };
}

test('a transaction that is refused is the last one, and those before it are named', async () => {
  const reasons = fc.constantFrom('a field', 'no such profile', 'another writer');
  await fc.assert(
    fc.asyncProperty(sets, fc.nat(), reasons, async (set, nth, reason) => {
      const run = new Run(daemon, set);
      await run.prepare(set);
      const parts = await run.parts(daemon.client);
      const failing = nth % Math.max(1, parts.length);
      const items = parts[failing]?.items ?? [];
      const spoilt = items[nth % Math.max(1, items.length)];
      if (spoilt === undefined) return; // all of it is so
      if (reason === 'another writer') {
        if (spoilt.isNew) await daemon.client.instances.create({ name: spoilt.name });
        else await daemon.client.instances.patch(spoilt.name, { description: 'changed' });
      } else {
        const fields = reason === 'a field' ? { description: 5 } : { profiles: ['none'] };
        const line = { ...spoilt.line, body: { ...spoilt.line.body, ...fields } };
        const given = items.map((item) => (item === spoilt ? withLine(item, line) : item));
        parts.splice(failing, 1, ...partsOf(given, { lines, bytes: 0 }));
      }
      const failure = await failureOf(run.write(daemon.client, parts));
      assert.equal(await run.done(parts, spoilt.name), failing);
      assert.ok(failure.includes(`instance ${spoilt.name}: `), failure);
      const others = failing === 0 ? 'no other is done' : `the ${failing} before it are done, no others`;
      assert.equal(failure.endsWith(`; ${others}`), parts.length > 1, failure);
    }),
    { numRuns: 25 },
  );
});

test('a connection that ends at any moment leaves whole transactions, and what is said of them is so', async () => {
  await fc.assert(
    fc.asyncProperty(sets, fc.nat(60), fc.double({ min: 0, max: 1, noNaN: true }), async (set, moment, part) => {
      const run = new Run(daemon, set);
      await run.prepare(set);
      const client = new HostClient(relay.runDir);
      const parts = await run.parts(daemon.client);
      relay.begin((nth) => (nth === moment ? part : undefined));
      const failure = await failureOf(run.write(client, parts));
      await client.close();
      checkSaid(failure, await run.done(parts), parts.length);
      await run.write(daemon.client, await run.parts(daemon.client));
      assert.equal(await run.done(parts), parts.length);
    }),
    { numRuns: 40 },
  );
});

test('a process that is killed at any moment leaves whole transactions', async () => {
  const set = Array.from({ length: 8 }, (_, index) => ({ was: index % 2 === 0 ? 'a' : '', wanted: 'c' }));
  const commandLine = new CommandLine(() => daemon, { DEVLXD_RUN_DIR: relay.runDir });
  const applied = async (moment: number): Promise<number> => {
    const run = new Run(daemon, set);
    await run.prepare(set);
    const parts = await run.parts(daemon.client);
    const file = join(directory, 'file');
    writeFileSync(file, run.text);
    const command = commandLine.follow(['apply', '--quiet', '-f', file]);
    relay.begin((nth) => {
      if (nth === moment) void command.end('SIGKILL');
      return undefined;
    });
    await command.closed;
    const done = await run.done(parts);
    if (moment === 0 || command.text().includes('Done.')) assert.equal(done, parts.length);
    return relay.passed;
  };
  const pieces = await applied(0);
  for (let moment = 1; moment <= pieces; moment += 3) await applied(moment);
});

for (const [ending, how] of [
  ['is replaced by another', async (host: TestDaemon) => void (await host.takeOver())],
  ['is killed and started again', async (host: TestDaemon) => host.end('SIGKILL').then(() => host.run())],
] as const)
  test(`a daemon that ${ending} in between has whole transactions, and what is said of them is so`, async () => {
    await withDaemon(async (host) => {
      const set = Array.from({ length: 12 }, () => ({ was: '', wanted: 'c' }));
      const run = new Run(host, set);
      const parts = await run.parts(host.client);
      let ended: Promise<unknown> | undefined;
      const progressOf = (_: Part, index: number): Progress => {
        if (index === 1) ended = how(host);
        return () => undefined;
      };
      const failure = await failureOf(run.write(host.client, parts, progressOf));
      await ended;
      checkSaid(failure, await run.done(parts), parts.length);
      await run.write(host.client, await run.parts(host.client));
      assert.equal(await run.done(parts), parts.length);
    }, options);
  });

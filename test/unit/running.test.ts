import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from '../../src/config/options.js';
import { Fault } from '../../src/errors.js';
import type { Gate, Registration } from '../../src/gate/gate.js';
import { newInstance } from '../../src/instances/edit.js';
import { RunningInstances } from '../../src/instances/running-instances.js';
import { createLog } from '../../src/log.js';
import { temporaryDescription } from '../../src/model/instance.js';
import { storedRegistry } from '../support/registry.js';

const { limits } = readSettings({}, {});
const { registry } = storedRegistry();
const log = await createLog('silent', 'json');

/** A gate that registers everyone, in slots from 0, and remembers what it was told. */
class FakeGate {
  readonly honoured: number[] = [];
  readonly unregistered: number[] = [];
  #next = 0;

  register(pid: number): Registration {
    return { slot: this.#next++, namespace: String(pid), rootUid: 0, startTicks: pid };
  }

  activate(slot: number): void {
    this.honoured.push(slot);
  }

  unregister(slot: number): void {
    this.unregistered.push(slot);
  }

  setServesNested(): void {
    // Nobody connects here.
  }

  setServesNonroot(): void {
    // No user asks here.
  }

  forgetResponses(): void {
    // Nothing is answered here.
  }
}

function create(name: string): Promise<void> {
  const wanted = { config: new Map(), devices: new Map() };
  return registry.transact((transaction) => {
    transaction.create(newInstance(transaction.newId(), 'default', name, wanted, limits));
  });
}

function setUp(): { gate: FakeGate; running: RunningInstances } {
  const gate = new FakeGate();
  const running = new RunningInstances(gate as unknown as Gate, registry, log);
  registry.on('changes', (changes) => {
    running.changed(changes);
    running.ended(changes);
  });
  return { gate, running };
}

test('an init that exits while its start is being stored does not stay running', async () => {
  const { gate, running } = setUp();
  await create('brief');
  const start = running.start('default', 'brief', { pid: 100 });
  running.initsExited([0]);
  await assert.rejects(start, (error) => error instanceof Fault && error.code === 'cannot-register');
  assert.equal(registry.need('default', 'brief').run, undefined);
  assert.equal(running.at(0), undefined);
  assert.deepEqual(gate.honoured, []);
  assert.deepEqual(gate.unregistered, []); // the slot is the gate's again, and may be another's
  await running.start('default', 'brief', { pid: 101 });
  assert.equal(running.at(1)?.name, 'brief');
  assert.deepEqual(gate.honoured, [1]);
});

test('a change in the same commit as the start is what the guest sees', async () => {
  const { running } = setUp();
  await create('changed');
  const start = running.start('default', 'changed', { pid: 100 });
  const change = registry.transact((transaction) => {
    const before = transaction.need('default', 'changed');
    transaction.replace(before, { ...before, config: new Map([['user.a', 'new']]) });
  });
  await Promise.all([start, change]);
  assert.equal(running.at(0)?.config.get('user.a'), 'new');
});

test('an instance that is stored as stopped is answered no more, whoever stored it', async () => {
  const { gate, running } = setUp();
  await create('ended');
  await running.start('default', 'ended', { pid: 100 });
  await registry.transact((transaction) => {
    const before = transaction.need('default', 'ended');
    transaction.replace(before, { ...before, run: undefined });
  });
  assert.equal(running.at(0), undefined);
  assert.deepEqual(gate.unregistered, [0]);
});

test('of two starts at once one wins, and the other gives its slot back', async () => {
  const { gate, running } = setUp();
  await create('twice');
  const results = await Promise.allSettled([1, 2].map((pid) => running.start('default', 'twice', { pid: pid })));
  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.equal(gate.unregistered.length, 1);
  const [lost] = gate.unregistered;
  assert.equal(running.at(lost ?? -1), undefined);
});

test('after a restart only the very same process counts as running', async () => {
  const [same, reused, rebooted] = ['same', 'reused', 'rebooted'];
  for (const [name, startTicks, bootId] of [
    [same, 7, 'boot'],
    [reused, 8, 'boot'],
    [rebooted, 7, 'other boot'],
  ] as const) {
    await create(name);
    await registry.transact((transaction) => {
      const before = transaction.need('default', name);
      transaction.replace(before, { ...before, run: { pid: 7, startTicks, bootId } });
    });
  }
  const gate = new FakeGate();
  const running = new RunningInstances(gate as unknown as Gate, registry, log, 'boot');
  await running.reattach();
  const runs = [same, reused, rebooted].map((name) => registry.need('default', name).run !== undefined);
  assert.deepEqual(runs, [true, false, false]);
});

test('what was made for a container of an earlier boot is forgotten', async () => {
  const times = {
    earlier: '2001-01-01T00:00:00.000Z',
    kept: '2001-01-01T00:00:00.000Z',
    now: new Date().toISOString(),
  };
  for (const [name, createdAt] of Object.entries(times)) {
    await create(name);
    await registry.transact((transaction) => {
      const before = transaction.need('default', name);
      const description = name === 'kept' ? 'of an operator' : temporaryDescription;
      transaction.replace(before, { ...before, createdAt, description });
    });
  }
  await new RunningInstances(new FakeGate() as unknown as Gate, registry, log, 'boot').reattach();
  const left = Object.keys(times).filter((name) => registry.get('default', name) !== undefined);
  assert.deepEqual(left, ['kept', 'now']);
});

import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { Fault, invalid } from '../errors.js';
import type { Gate, Registration } from '../gate/gate.js';
import type { Log } from '../log.js';
import type { Change, Requestor } from '../model/changes.js';
import {
  firstGuestState,
  type Instance,
  type InstanceType,
  isTemporary,
  type Run,
  servesNested,
  servesNonroot,
} from '../model/instance.js';
import type { Registry, Transaction } from './registry.js';
import { checkOneMachine, ofType, type StartedProcess } from './started-process.js';

interface Events {
  /** The instance is registered and stored as running. */
  started: [Instance];
  /** Its connections are closed. */
  stopped: [Instance];
  /** It is about to lose its slot, whose counters are still its own. */
  left: [Instance, slot: number];
}

/** What else happens while an instance starts. */
interface StartSteps {
  /** asked once the process is held: is it still this instance's? Before, its number may have been another's */
  readonly confirm?: () => Promise<boolean>;
  /** makes the instance, or another version of it, in the commit that starts it, and gives that */
  readonly describe?: (transaction: Transaction) => Instance;
}

interface Starting {
  exited: boolean;
}

/**
 * Which instance each slot of the gate is, and the two ways in which that changes: an operator starts or stops it,
 * or its init exits.
 */
export class RunningInstances extends EventEmitter<Events> {
  readonly #gate: Gate;
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #bootId: string;
  /** by slot; the latest version of the instance */
  readonly #instances: (Instance | undefined)[] = [];
  readonly #slots = new Map<number, number>();
  /** by slot: starts that are still being stored */
  readonly #starting = new Map<number, Starting>();
  #closed = false;

  constructor(gate: Gate, registry: Registry, log: Log, bootId = readBootId()) {
    super();
    this.#gate = gate;
    this.#registry = registry;
    this.#log = log;
    this.#bootId = bootId;
  }

  /** The running instance in a slot; undefined while its start is still being stored. */
  at(slot: number): Instance | undefined {
    return this.#instances[slot];
  }

  /** All that run, in no order; they may change while they are looked at. */
  *entries(): Iterable<readonly [Instance, slot: number]> {
    for (const slot of this.#slots.values()) {
      const instance = this.#instances[slot];
      if (instance !== undefined) yield [instance, slot];
    }
  }

  /** undefined: not running */
  slotOf(instance: Instance): number | undefined {
    return this.#slots.get(instance.id);
  }

  /** The slot of an instance, if it is still the same init; undefined: it is not */
  slotOfRun(instanceId: number, startTicks: number): number | undefined {
    const slot = this.#slots.get(instanceId);
    return slot !== undefined && this.at(slot)?.run?.startTicks === startTicks ? slot : undefined;
  }

  /**
   * Registers the running init of an instance and stores that it runs.
   * @throws Fault not-found, already-running, cannot-register or shares-namespace
   */
  async start(
    project: string,
    name: string,
    { pid, cid, type: made = 'container' }: StartedProcess,
    requestor?: Requestor,
    { confirm, describe = (transaction) => transaction.need(project, name) }: StartSteps = {},
  ): Promise<void> {
    const known = this.#registry.get(project, name);
    if (known !== undefined && this.#slots.has(known.id)) alreadyRunning(name);
    const type = known?.type ?? made;
    if (type === 'virtual-machine') checkOneMachine(pid);
    const { slot, startTicks } = this.#register(type, pid, cid);
    const run: Run = { pid, startTicks, bootId: this.#bootId, ...(cid === undefined ? {} : { cid }) };
    const starting: Starting = { exited: false };
    this.#starting.set(slot, starting);
    try {
      if (confirm !== undefined && !(await confirm())) throw new Fault('cannot-register', `It is not process ${pid}.`);
      const started = await this.#storeStarted(ofType(type, describe), run, requestor);
      if (!starting.exited) return this.#enter(slot, started, 'info');
      await this.#storeGone(started, run);
      throw new Fault('cannot-register', `Process ${pid} has exited.`);
    } catch (error) {
      // After its exit the slot may be another's already.
      if (!starting.exited) this.#gate.unregister(slot);
      throw error;
    } finally {
      if (this.#starting.get(slot) === starting) this.#starting.delete(slot);
    }
  }

  /**
   * Ends an instance: once that is stored, nothing is answered for it. Its processes are not touched.
   * @throws Fault not-found or not-running
   */
  async stop(project: string, name: string, requestor?: Requestor): Promise<void> {
    const instance = this.#registry.need(project, name);
    if (instance.run === undefined) throw new Fault('not-running', `The instance "${name}" is already stopped`);
    await this.#storeStopped(instance, instance.run, requestor);
    this.emit('stopped', instance);
  }

  /** After a restart of the daemon: takes up again what still runs, stores what does not, and forgets what never will. */
  async reattach(): Promise<void> {
    await this.#forgetEarlierBoots();
    const stored = this.#registry.running();
    const gone = stored.filter((instance) => !this.#reattachOne(instance, instance.run as Run));
    await Promise.all(gone.map((instance) => this.#storeGone(instance, instance.run as Run)));
    const running = stored.length - gone.length;
    if (stored.length > 0) this.#log.info({ running, stopped: gone.length }, 'instances taken up again');
  }

  /** The store closes: what exits from here on is found out by the next daemon. */
  close(): void {
    this.#closed = true;
  }

  /** Closes all their connections. The instances run on. */
  letGo(): void {
    for (const slot of this.#slots.values()) this.#gate.unregister(slot);
  }

  /** From here on requests are answered by the versions that hold, and not by one within a commit. */
  changed(changes: readonly Change[]): void {
    for (const { after } of changes) {
      if (after?.run === undefined) continue;
      const [slot, held] = [this.#slots.get(after.id), this.#registry.byId(after.id)];
      if (slot !== undefined && held?.run !== undefined) this.#show(slot, held);
    }
  }

  /** Instances that do not run any more lose their slots: the store says what runs. */
  ended(changes: readonly Change[]): void {
    for (const { before, after } of changes) {
      const slot = before && after?.run === undefined ? this.#slots.get(before.id) : undefined;
      if (before === undefined || slot === undefined) continue;
      this.#leave(slot, before);
      this.#gate.unregister(slot);
    }
  }

  /** Called by the gate: these inits have exited, and their connections are closed. */
  initsExited(slots: readonly number[]): void {
    for (const slot of slots) {
      const starting = this.#starting.get(slot);
      if (starting !== undefined) {
        starting.exited = true; // start() finds out
        this.#starting.delete(slot);
      }
      const instance = this.#instances[slot];
      if (instance === undefined) continue;
      this.#leave(slot, instance);
      this.#log.info({ instance: instance.name, project: instance.project, pid: instance.run?.pid }, 'init exited');
      if (this.#closed) continue;
      this.#storeExited(instance, instance.run as Run)
        .then(() => this.emit('stopped', instance))
        .catch((error: unknown) => this.#log.error({ err: error, instance: instance.name }, 'stop not stored'));
    }
  }

  #enter(slot: number, instance: Instance, level: 'info' | 'debug'): void {
    // Not the version that was started: it may have been changed in the same commit.
    this.#show(slot, this.#registry.byId(instance.id));
    this.#slots.set(instance.id, slot);
    this.#gate.activate(slot);
    const { name, project, run } = instance;
    this.#log[level]({ instance: name, project, pid: run?.pid }, 'instance started');
    this.emit('started', instance);
  }

  #leave(slot: number, instance: Instance): void {
    this.emit('left', instance, slot);
    this.#show(slot, undefined);
    this.#slots.delete(instance.id);
  }

  /** Responses cached for the version before are stale. */
  #show(slot: number, instance: Instance | undefined): void {
    this.#instances[slot] = instance;
    this.#gate.forgetResponses(slot);
    if (instance === undefined) return;
    this.#gate.setServesNonroot(slot, servesNonroot(instance));
    this.#gate.setServesNested(slot, servesNested(instance));
  }

  /** @throws Fault cannot-register, shares-namespace or invalid-value */
  #register(type: InstanceType, pid: number, cid: number | undefined): Registration {
    if (type === 'virtual-machine') return this.#gate.registerVm(pid, cid ?? 0);
    if (cid !== undefined) throw invalid('cid', 'only a virtual machine has one, and this instance is a container');
    return this.#gate.register(pid);
  }

  #reattachOne(instance: Instance, run: Run): boolean {
    if (run.bootId !== this.#bootId) return false;
    try {
      const { slot, startTicks } = this.#register(instance.type, run.pid, run.cid);
      if (startTicks === run.startTicks) {
        this.#enter(slot, instance, 'debug'); // thousands, of which one line tells
        return true;
      }
      this.#gate.unregister(slot);
    } catch (error) {
      this.#log.debug({ err: error, instance: instance.name }, 'not running any more');
    }
    return false;
  }

  #storeStarted(
    describe: (transaction: Transaction) => Instance,
    run: Run,
    requestor: Requestor | undefined,
  ): Promise<Instance> {
    return this.#registry.transact((transaction) => {
      const before = describe(transaction);
      if (before.run !== undefined) alreadyRunning(before.name);
      const after: Instance = { ...before, run, guestState: firstGuestState(before) };
      transaction.replace(before, after);
      return after;
    }, requestor);
  }

  #storeStopped(instance: Instance, run: Run, requestor?: Requestor): Promise<void> {
    return this.#registry.transact((transaction) => void stopped(transaction, instance, run), requestor);
  }

  #storeExited(instance: Instance, run: Run): Promise<void> {
    return this.#registry.record((transaction) => void stopped(transaction, instance, run));
  }

  /** No hook will report that its container has ended: what was made for it goes in the same commit. */
  #storeGone(instance: Instance, run: Run): Promise<void> {
    return this.#registry.record((transaction) => {
      const after = stopped(transaction, instance, run);
      if (after !== undefined && isTemporary(after)) transaction.remove(after);
    });
  }

  /** Containers of an earlier boot are gone, whether their runtime could say so or not. */
  async #forgetEarlierBoots(): Promise<void> {
    const booted = Date.now() - uptime() * 1000;
    const left = this.#registry
      .snapshot()
      .kept.filter((instance) => instance.run === undefined && isTemporary(instance))
      .filter(({ createdAt }) => Date.parse(createdAt) < booted);
    if (left.length === 0) return;
    await this.#registry.record((transaction) => {
      for (const { project, name } of left) transaction.remove(transaction.need(project, name));
    });
    this.#log.info({ instances: left.length }, 'instances of containers of an earlier boot are forgotten');
  }
}

/** The stopped version of an instance; undefined: it has been started again in the meantime, or is not there. */
function stopped(transaction: Transaction, { id }: Instance, run: Run): Instance | undefined {
  const before = transaction.byId(id);
  if (before?.run?.pid !== run.pid || before.run.startTicks !== run.startTicks) return undefined;
  const after: Instance = { ...before, run: undefined, guestState: 'Started' };
  transaction.replace(before, after);
  return after;
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function alreadyRunning(name: string): never {
  throw new Fault('already-running', `The instance "${name}" is already running`);
}

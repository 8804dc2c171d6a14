import * as v from 'valibot';
import { Fault } from '../errors.js';
import { edited, newInstance, withoutEmpty } from '../instances/edit.js';
import { profilesNamed } from '../instances/profile-table.js';
import type { Registry, Transaction } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Limits } from '../limits/limits.js';
import type { Log } from '../log.js';
import type { Requestor } from '../model/changes.js';
import {
  defaultProfile,
  type Instance,
  isTemporary,
  standInDescription,
  temporaryDescription,
} from '../model/instance.js';
import { isGeneratedId } from './container-name.js';
import type { ControlHandler } from './control-reply.js';
import { findInit, seemsGone } from './find-init.js';
import {
  type Happening,
  type HookCall,
  lxcHappening,
  nspawnHappening,
  ociHappening,
  type Start,
  type Stop,
} from './hook-calls.js';
import { parseBody } from './request-body.js';
import { mapOf } from './request-project.js';
import { libvirtHappening, vmHappening } from './vm-hook-calls.js';

/** POST /1.0/hooks/{runtime} */
const hookCall = v.strictObject({
  arguments: v.array(v.string()),
  environment: v.record(v.string(), v.string()),
  input: v.string(),
});

const runtimes: ReadonlyMap<string, (call: HookCall) => Happening | undefined> = new Map([
  ['lxc', lxcHappening],
  ['oci', ociHappening],
  ['nspawn', nspawnHappening],
  ['libvirt', libvirtHappening],
  ['vm', vmHappening],
]);

/** How long the end of the container before may take to be noticed. */
const patienceMilliseconds = 3000;
const stepMilliseconds = 20;

/** What container runtimes tell of their containers, by way of devlxd-hook. */
export class HookHandlers {
  readonly #registry: Registry;
  readonly #running: RunningInstances;
  readonly #limits: Limits;
  readonly #log: Log;
  readonly #inFleet: boolean;
  /** sentences that the log has once */
  readonly #said = new Set<string>();

  /** inFleet: instances may be described while their containers run already */
  constructor(registry: Registry, running: RunningInstances, limits: Limits, log: Log, inFleet: boolean) {
    this.#inFleet = inFleet;
    this.#registry = registry;
    this.#running = running;
    this.#limits = limits;
    this.#log = log;
  }

  /** In a text of one line: "ok", or "error: " and what to do, for a reader that knows no JSON. */
  readonly run: ControlHandler = async ({ parameters, body, requestor }) => {
    const understand = runtimes.get(parameters['runtime'] ?? '');
    if (understand === undefined) throw new Fault('not-found', `There is no hook for "${parameters['runtime']}"`);
    const call = parseBody(hookCall, body);
    try {
      await this.#happen(understand(call), requestor);
      return { kind: 'text', type: 'text/plain', text: 'ok\n' };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return { kind: 'text', type: 'text/plain', text: `error: ${error.message.replaceAll('\n', ' ')}\n` };
    }
  };

  async #happen(happening: Happening | undefined, requestor: Requestor): Promise<void> {
    if (happening?.stage === 'start') await this.#start(happening, requestor);
    else if (happening?.stage === 'stop') await this.#stop(happening, requestor);
  }

  async #start(start: Start, requestor: Requestor): Promise<void> {
    const { project, name, container, type, cid } = start;
    this.#registry.needProject(project);
    const pid = await findInit(start.init);
    await this.#untilEnded(start);
    const known = this.#registry.get(project, name);
    if (known?.run?.pid === pid) return;
    if (known !== undefined && known.type !== type)
      throw new Fault('cannot-register', `The instance "${name}" is a ${known.type}, and what starts is a ${type}.`);
    try {
      const describe = (transaction: Transaction): Instance => this.#describe(transaction, start);
      await this.#running.start(project, name, { pid, cid, type }, requestor, { describe });
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'shares-namespace') throw error;
      const reason = error.message;
      this.#sayOnce({ container, pid, reason }, 'a container without a pid namespace of its own has no guest API');
      return;
    }
    if (name === container || isGeneratedId(container)) return;
    this.#sayOnce(
      { container, project, instance: name },
      'a container whose name is no instance name has another here',
    );
  }

  /** Once: the same sentence would come with every container. */
  #sayOnce(fields: object, sentence: string): void {
    if (this.#said.has(sentence)) return;
    this.#said.add(sentence);
    this.#log.warn(fields, `${sentence}; docs/runtimes.md`);
  }

  /** Makes the instance, or sets its keys. What belongs to a source is what the source says. */
  #describe(transaction: Transaction, start: Start): Instance {
    const { project, name, config: given } = start;
    const before = transaction.get(project, name);
    if (before?.source !== undefined) return before;
    const after = before === undefined ? this.#made(transaction, start) : this.#keyed(before, given);
    if (before === undefined) transaction.create(after);
    else transaction.replace(before, after);
    return after;
  }

  #made(transaction: Transaction, { project, name, type, config: given, temporary }: Start): Instance {
    const wanted = {
      type,
      config: withoutEmpty(mapOf(given)),
      devices: new Map(),
      profiles: profilesNamed(transaction, project, [defaultProfile]),
      description: this.#inFleet ? standInDescription : temporary ? temporaryDescription : '',
    };
    return newInstance(transaction.newId(), project, name, wanted, this.#limits);
  }

  #keyed(before: Instance, given: Start['config']): Instance {
    const config = new Map([...before.config, ...mapOf(given)]);
    return edited(before, { config, devices: before.devices }, this.#limits);
  }

  /**
   * A runtime may say twice, or late, that a container has ended, when another runs under its name. So it is believed
   * when it names the init that runs. Otherwise that init's own end, which the gate hears of, is what ends the instance.
   */
  async #stop(stop: Stop, requestor: Requestor): Promise<void> {
    const { project, name, pid, temporary } = stop;
    await this.#untilEnded(stop);
    const run = this.#registry.get(project, name)?.run;
    if (run !== undefined && run.pid === pid) await this.#running.stop(project, name, requestor);
    if (temporary || this.#inFleet) {
      await this.#registry.transact((transaction) => forget(transaction, stop), requestor);
    }
  }

  /** Until the gate has heard of the end of an init that is gone, which takes a moment. */
  async #untilEnded({ project, name }: Happening): Promise<void> {
    const end = performance.now() + patienceMilliseconds;
    while (performance.now() < end) {
      const run = this.#registry.get(project, name)?.run;
      if (run === undefined || !seemsGone(run)) return;
      await new Promise((resolve) => setTimeout(resolve, stepMilliseconds));
    }
  }
}

/** Deletes what was made for the container, if it has not been started again. */
function forget(transaction: Transaction, { project, name }: Stop): void {
  const instance = transaction.get(project, name);
  if (instance !== undefined && instance.run === undefined && isTemporary(instance)) transaction.remove(instance);
}

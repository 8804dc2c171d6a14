import { existsSync } from 'node:fs';
import * as v from 'valibot';
import { Fault } from '../errors.js';
import { edited, newInstance, withoutEmpty } from '../instances/edit.js';
import { profilesNamed } from '../instances/profile-table.js';
import type { Registry, Transaction } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Limits } from '../limits/limits.js';
import type { Requestor } from '../model/changes.js';
import { defaultProfile, defaultProject, type Instance } from '../model/instance.js';
import type { ControlHandler } from './control-reply.js';
import { findInit } from './find-init.js';
import { type Happening, type HookCall, lxcHappening, nspawnHappening, ociHappening } from './hook-calls.js';
import { parseBody } from './request-body.js';
import { mapOf } from './request-project.js';

/** POST /1.0/hooks/{runtime} */
const hookCall = v.strictObject({
  arguments: v.array(v.string()),
  environment: v.record(v.string(), v.string()),
  input: v.string(),
});

const runtimes: ReadonlyMap<string, (call: HookCall) => Happening> = new Map([
  ['lxc', lxcHappening],
  ['oci', ociHappening],
  ['nspawn', nspawnHappening],
]);

/** Says that an instance is deleted with its container; whoever describes it otherwise keeps it. */
const temporaryDescription = 'Made for a container by devlxd-hook; deleted with it';

/** How long the end of the container before may take to be noticed. */
const patienceMilliseconds = 3000;
const stepMilliseconds = 20;

/** What container runtimes tell of their containers, by way of devlxd-hook. */
export class HookHandlers {
  readonly #registry: Registry;
  readonly #running: RunningInstances;
  readonly #limits: Limits;

  constructor(registry: Registry, running: RunningInstances, limits: Limits) {
    this.#registry = registry;
    this.#running = running;
    this.#limits = limits;
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

  async #happen(happening: Happening, requestor: Requestor): Promise<void> {
    if (happening.stage === 'stop') await this.#stop(happening, requestor);
    else await this.#start(happening, requestor);
  }

  async #start({ name, init, config, temporary }: Happening, requestor: Requestor): Promise<void> {
    const pid = init === undefined ? 0 : await findInit(init);
    if (this.#registry.get(defaultProject, name)?.run?.pid === pid && existsSync(`/proc/${pid}`)) return;
    await this.#untilEnded(name);
    const isNew = this.#registry.get(defaultProject, name) === undefined;
    await this.#registry.transact((transaction) => this.#describe(transaction, name, config, temporary), requestor);
    try {
      await this.#running.start(defaultProject, name, pid, requestor);
    } catch (error) {
      if (isNew) await this.#registry.transact((transaction) => forget(transaction, name, () => true), requestor);
      throw error;
    }
  }

  /** Makes the instance, or sets its keys. */
  #describe(transaction: Transaction, name: string, given: Happening['config'], temporary: boolean): void {
    const before = transaction.get(defaultProject, name);
    if (before !== undefined) {
      const config = new Map([...before.config, ...mapOf(given)]);
      transaction.replace(before, edited(before, { config, devices: before.devices }, this.#limits));
      return;
    }
    const wanted = {
      config: withoutEmpty(mapOf(given)),
      devices: new Map(),
      profiles: profilesNamed(transaction, defaultProject, [defaultProfile]),
      description: temporary ? temporaryDescription : '',
    };
    transaction.create(newInstance(transaction.newId(), defaultProject, name, wanted, this.#limits));
  }

  /** Of an instance that is not there, or has stopped by itself, nothing is left to be done. */
  async #stop({ name, temporary }: Happening, requestor: Requestor): Promise<void> {
    await this.#untilEnded(name);
    const instance = this.#registry.get(defaultProject, name);
    if (instance?.run !== undefined) await this.#running.stop(defaultProject, name, requestor);
    if (temporary) await this.#registry.transact((transaction) => forget(transaction, name, isTemporary), requestor);
  }

  /** Until the end of an init that is gone has been noticed, which takes a moment. */
  async #untilEnded(name: string): Promise<void> {
    const end = performance.now() + patienceMilliseconds;
    while (performance.now() < end) {
      const run = this.#registry.get(defaultProject, name)?.run;
      if (run === undefined || existsSync(`/proc/${run.pid}`)) return;
      await new Promise((resolve) => setTimeout(resolve, stepMilliseconds));
    }
  }
}

/** Deletes it, if it is one of those and has not been started again. */
function forget(transaction: Transaction, name: string, isMeant: (instance: Instance) => boolean): void {
  const instance = transaction.get(defaultProject, name);
  if (instance !== undefined && instance.run === undefined && isMeant(instance)) transaction.remove(instance);
}

function isTemporary({ description }: Instance): boolean {
  return description === temporaryDescription;
}

import { Fault, invalid } from '../errors.js';
import { edited, type NewInstance, newInstance, renamed, type Wanted, withoutEmpty } from '../instances/edit.js';
import { profilesNamed } from '../instances/profile-table.js';
import type { Registry, Transaction } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Limits } from '../limits/limits.js';
import { cidKey, defaultProfile, type Instance, powerKey, readyKey, statusOf } from '../model/instance.js';
import { type BatchedRequest, noSuchLine, type Step, writeBatch } from './batch-lines.js';
import {
  type ControlHandler,
  type ControlReply,
  type ControlRequest,
  checkIfMatch,
  done,
  sync,
  syncText,
} from './control-reply.js';
import { filterOf } from './filter.js';
import { instanceReader } from './instance-reader.js';
import { instanceEtag, instanceText, writableInstanceText } from './instance-text.js';
import { asksFor, listed } from './listing.js';
import { Lines } from './ndjson.js';
import type { Concerned, Operations, Work } from './operations.js';
import { own } from './ownership.js';
import { noPlace, type Place } from './place.js';
import { instanceUrl, renderState } from './render.js';
import { instanceRename, parseBody, statePut } from './request-body.js';
import { devicesOf, listedProject, mapOf, projectOf } from './request-project.js';
import { type InstancePut, instancePostIn, instancePutIn } from './usual-body.js';

type Change = (transaction: Transaction, before: Instance) => void;

/** What starts and stops instances. */
type Runs = Pick<RunningInstances, 'start' | 'stop'>;

const missingPid =
  'is missing: devlxd starts no containers, it is told of the init that already runs; have the container runtime call ' +
  'devlxd-hook (docs/runtimes.md), or run "devlxd start NAME --pid PID"';

/** The handlers of /1.0/instances. */
export class InstanceHandlers {
  readonly #registry: Registry;
  readonly #running: Runs;
  readonly #operations: Operations;
  readonly #limits: Limits;
  readonly #place: Place;

  constructor(registry: Registry, running: Runs, operations: Operations, limits: Limits, place: Place = noPlace) {
    this.#registry = registry;
    this.#running = running;
    this.#operations = operations;
    this.#limits = limits;
    this.#place = place;
  }

  /** collection: what the paths in the list begin with */
  listIn(collection: string): ControlHandler {
    return (request) => {
      const filter = filterOf(request.query);
      const recursion = request.query.get('recursion') || '0';
      const project = listedProject(request, this.#registry);
      const { kept, shown } = this.#registry.snapshot();
      const [isWritable, isTagged] = [asksFor(request, 'writable'), asksFor(request, 'etags')];
      const textOf = (kept: Instance) => {
        if (recursion === '0') return JSON.stringify(instanceUrl(kept.name, kept.project, collection));
        const instance = shown(kept);
        if (isWritable) return writableInstanceText(instance, isTagged);
        return instanceText(instance, recursion === '2', isTagged ? instanceEtag(instance) : undefined);
      };
      const matches = (instance: Instance): boolean =>
        (project === undefined || instance.project === project) &&
        (filter === undefined || filter(instanceReader(shown(instance))));
      return listed(request, kept, { matches, textOf });
    };
  }

  readonly get: ControlHandler = (request) => {
    const instance = this.#need(request);
    const full = request.query.get('recursion') === '1';
    return syncText(instanceText(instance, full), instanceEtag(instance));
  };

  readonly create: ControlHandler = (request) => {
    const project = projectOf(request, this.#registry);
    const { body, requestor, query } = request;
    const target = query.get('target') ?? '';
    if (body instanceof Lines) {
      const prepare = (line: unknown) => this.#creation(project, target, line);
      const work: Work = (report) =>
        writeBatch(body, prepare, report, (steps) => this.#registry.transact(steps, requestor));
      return { kind: 'async', operation: this.#operations.start('Creating instances', [], work) };
    }
    const { name, run } = this.#creation(project, target, body);
    return this.#operation('Creating instance', { name, project }, this.#registry.transact(run, requestor));
  };

  /**
   * What a request would do that is a line of a batch.
   * @throws Fault invalid-value, naming the field, or not-implemented
   */
  step({ method, project, name, target, headers, body }: BatchedRequest): Step {
    if (name === '' && method === 'POST') return this.#creation(project, target, body);
    const change = this.#changeOf(name === '' ? '' : method, body);
    const run: Step['run'] = (transaction) => change(transaction, own(transaction.need(project, name)));
    if (headers['if-match'] === undefined) return { run };
    return { run, check: (before) => checkIfMatch(headers, () => instanceEtag(before.instance(project, name))) };
  }

  /**
   * What is not given is empty from then on, but for `volatile.` keys. LXD's client expects an operation here, but an
   * operation could not say 412: so it is answered when it has ended, and what is wrong is an error at once.
   */
  readonly replace: ControlHandler = async (request) => {
    const given = instancePutIn(request.body);
    await this.#edit(request, (transaction, before) => this.#replace(transaction, before, given));
    return this.#operation('Updating instance', this.#need(request), Promise.resolve());
  };

  /** Keys and devices that are not named stay; an empty value unsets a key, a null config or device map nothing. */
  readonly patch: ControlHandler = async (request) => {
    const given = instancePutIn(request.body);
    await this.#edit(request, (transaction, before) => this.#patch(transaction, before, given));
    return done;
  };

  /** With ?target=, to another host of the fleet, as LXD's clients ask for it. */
  readonly rename: ControlHandler = (request) => {
    const target = request.query.get('target') ?? '';
    const { name: newName, project: newProject, migration } = parseBody(instanceRename, request.body);
    const { name, project } = own(this.#need(request));
    if (migration && target === '')
      throw invalid('migration', 'devlxd moves no instances but between the hosts of a fleet; give a new "name"');
    if (newProject && newProject !== project) throw invalid('project', 'an instance stays in its project');
    const work = this.#registry.transact((transaction) => {
      const before = own(transaction.need(project, name));
      checkStopped(before);
      if (target === '') return transaction.replace(before, renamed(before, newName));
      const placement = this.#place(target, transaction);
      const moved = placement === undefined ? before : { ...before, placement };
      transaction.replace(before, newName === name ? moved : renamed(moved, newName));
    }, request.requestor);
    return this.#operation(target === '' ? 'Renaming instance' : 'Migrating instance', { name, project }, work);
  };

  readonly remove: ControlHandler = (request) => {
    const { name, project } = own(this.#need(request));
    const work = this.#registry.transact((transaction) => {
      remove(transaction, own(transaction.need(project, name)));
    }, request.requestor);
    return this.#operation('Deleting instance', { name, project }, work);
  };

  /** Snapshots and backups, which clients ask for to show an instance. */
  readonly noneOfThem: ControlHandler = (request) => {
    this.#need(request);
    return sync([]);
  };

  readonly getState: ControlHandler = (request) => sync(renderState(this.#need(request)));

  readonly putState: ControlHandler = (request) => {
    const { action, pid, cid } = parseBody(statePut, request.body);
    const { name, project } = own(this.#need(request), 'run');
    const { requestor } = request;
    if (action === 'stop') {
      return this.#operation('Stopping instance', { name, project }, this.#running.stop(project, name, requestor));
    }
    if (pid === undefined) {
      throw invalid('pid', missingPid);
    }
    return this.#operation(
      'Starting instance',
      { name, project },
      this.#running.start(project, name, { pid, cid }, requestor),
    );
  };

  #changeOf(method: string, body: unknown): Change {
    if (method === 'DELETE') return remove;
    if (method !== 'PUT' && method !== 'PATCH') throw noSuchLine();
    const given = instancePutIn(body);
    return (transaction, before) =>
      method === 'PUT' ? this.#replace(transaction, before, given) : this.#patch(transaction, before, given);
  }

  #creation(project: string, target: string, body: unknown): { name: string; run: Step['run'] } {
    const { name, type, config, devices, profiles, description = '' } = instancePostIn(body);
    const own = {
      type: type || undefined,
      config: withoutEmpty(mapOf(config)),
      devices: devicesOf(devices),
      description,
    };
    const run = (transaction: Transaction): void => {
      transaction.projects.need('', project);
      const wanted: NewInstance = {
        ...own,
        profiles: profilesNamed(transaction, project, profiles ?? [defaultProfile]),
        placement: this.#place(target, transaction),
      };
      transaction.create(newInstance(transaction.newId(), project, name, wanted, this.#limits));
    };
    return { name, run };
  }

  #replace(transaction: Transaction, before: Instance, given: InstancePut): void {
    const { config, devices, profiles, description = '' } = given;
    const used = profilesNamed(transaction, before.project, profiles ?? []);
    const wanted = { config: writtenBack(config), devices: devicesOf(devices), profiles: used, description };
    transaction.replace(before, edited(before, wanted, this.#limits));
  }

  #patch(transaction: Transaction, before: Instance, given: InstancePut): void {
    const { config, devices, profiles, description = before.description } = given;
    const wanted: Wanted = {
      config: merged(before.config, writtenBack(config)),
      devices: merged(before.devices, devicesOf(devices)),
      profiles: profiles ? profilesNamed(transaction, before.project, profiles) : before.profiles,
      description,
    };
    transaction.replace(before, edited(before, wanted, this.#limits));
  }

  #edit(request: ControlRequest, change: Change): Promise<void> {
    const { name, project } = this.#need(request);
    return this.#registry.transact((transaction) => {
      const before = own(transaction.need(project, name));
      checkIfMatch(request.headers, () => instanceEtag(before));
      change(transaction, before);
    }, request.requestor);
  }

  #need(request: ControlRequest): Instance {
    return this.#registry.need(projectOf(request, this.#registry), request.parameters['name'] ?? '');
  }

  /** Answered when the operation has ended, so that a client that does not wait finds what it has asked for. */
  async #operation(description: string, concerned: Concerned, work: Promise<unknown>): Promise<ControlReply> {
    const operation = this.#operations.start(description, [concerned], work);
    await operation.finished;
    return { kind: 'async', operation };
  }
}

/** The same map where nothing is added. */
function merged<Value>(map: ReadonlyMap<string, Value>, more: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> {
  if (more.size === 0) return map;
  const result = new Map(map);
  for (const [key, value] of more) result.set(key, value);
  return result;
}

/** A configuration that may be one that was read: what is known of a run is shown in it, and is not kept there. */
function writtenBack(config: InstancePut['config']): Map<string, string> {
  const given = mapOf(config);
  if (['true', 'false'].includes(given.get(readyKey) ?? '')) given.delete(readyKey);
  if (given.get(powerKey) === 'RUNNING') given.delete(powerKey);
  if (/^\d+$/.test(given.get(cidKey) ?? '')) given.delete(cidKey);
  return given;
}

const remove: Change = (transaction, before) => {
  checkStopped(before);
  transaction.remove(before);
};

function checkStopped(instance: Instance): void {
  const { name } = instance;
  if (['Running', 'Ready'].includes(statusOf(instance)))
    throw new Fault('already-running', `The instance "${name}" is running; stop it first`);
}

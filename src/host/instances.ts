import { Fault, invalid } from '../errors.js';
import { edited, newInstance, type Wanted, withoutEmpty } from '../instances/edit.js';
import { type Device, defaultProject, type Instance } from '../instances/model.js';
import type { Registry } from '../instances/registry.js';
import type { Limits } from '../limits.js';
import type { Running } from '../running.js';
import { instancePost, instancePut, parseBody, statePut } from './body.js';
import type { Operations } from './operations.js';
import { instanceEtag, renderInstance, renderState } from './render.js';
import { checkIfMatch, type HostHandler, type HostReply, type HostRequest, sync } from './reply.js';

type Given = Readonly<Record<string, string>> | null | undefined;
type GivenDevices = Readonly<Record<string, Readonly<Record<string, string>>>> | null | undefined;

/** The handlers of /1.0/instances. */
export class InstanceHandlers {
  readonly #registry: Registry;
  readonly #running: Running;
  readonly #operations: Operations;
  readonly #limits: Limits;

  constructor(registry: Registry, running: Running, operations: Operations, limits: Limits) {
    this.#registry = registry;
    this.#running = running;
    this.#operations = operations;
    this.#limits = limits;
  }

  readonly list: HostHandler = ({ query }) => {
    const all = query.get('all-projects') === 'true';
    const instances = this.#registry.list(all ? undefined : projectOf(query));
    const recursion = query.get('recursion') ?? '0';
    if (recursion === '0') return sync(instances.map(({ name }) => `/1.0/instances/${name}`));
    return sync(instances.map((instance) => this.#render(instance, recursion === '2')));
  };

  readonly get: HostHandler = (request) => {
    const instance = this.#need(request);
    const full = request.query.get('recursion') === '1';
    return sync(this.#render(instance, full), instanceEtag(instance));
  };

  readonly create: HostHandler = ({ query, body }) => {
    const { name, config, devices } = parseBody(instancePost, body);
    const project = projectOf(query);
    const wanted = { config: withoutEmpty(mapOf(config)), devices: devicesOf(devices) };
    const work = this.#registry.transact((transaction) => {
      transaction.create(newInstance(transaction.newId(), project, name, wanted, this.#limits));
    });
    return this.#operation('Creating instance', name, work);
  };

  readonly replace: HostHandler = async (request) => {
    const { config, devices } = parseBody(instancePut, request.body);
    return this.#edit(request, () => ({ config: mapOf(config), devices: devicesOf(devices) }));
  };

  /** Keys and devices that are not named stay; an empty value unsets a key, a null config or device map nothing. */
  readonly patch: HostHandler = async (request) => {
    const { config, devices } = parseBody(instancePut, request.body);
    return this.#edit(request, (before) => ({
      config: new Map([...before.config, ...mapOf(config)]),
      devices: new Map([...before.devices, ...devicesOf(devices)]),
    }));
  };

  readonly remove: HostHandler = (request) => {
    const { name, project } = this.#need(request);
    const work = this.#registry.transact((transaction) => {
      const before = transaction.need(project, name);
      if (before.run !== undefined)
        throw new Fault('already-running', `The instance "${name}" is running; stop it first`);
      transaction.remove(before);
    });
    return this.#operation('Deleting instance', name, work);
  };

  readonly getState: HostHandler = (request) => sync(renderState(this.#need(request)));

  readonly putState: HostHandler = (request) => {
    const { action, pid } = parseBody(statePut, request.body);
    const { name, project } = this.#need(request);
    if (action === 'stop') return this.#operation('Stopping instance', name, this.#running.stop(project, name));
    if (pid === undefined) {
      throw invalid('pid', 'is missing: devlxd starts no containers, it is told the pid of the init that already runs');
    }
    return this.#operation('Starting instance', name, this.#running.start(project, name, pid));
  };

  async #edit(request: HostRequest, wantedOf: (before: Instance) => Wanted): Promise<HostReply> {
    const { name, project } = this.#need(request);
    await this.#registry.transact((transaction) => {
      const before = transaction.need(project, name);
      checkIfMatch(request.headers, instanceEtag(before));
      transaction.replace(before, edited(before, wantedOf(before), this.#limits));
    });
    return sync({});
  }

  #need({ parameters, query }: HostRequest): Instance {
    return this.#registry.need(projectOf(query), parameters['name'] ?? '');
  }

  #operation(description: string, name: string, work: Promise<unknown>): HostReply {
    return { kind: 'async', operation: this.#operations.start(description, [name], work) };
  }

  #render(instance: Instance, full: boolean): object {
    if (!full) return renderInstance(instance);
    return { ...renderInstance(instance), backups: null, state: renderState(instance), snapshots: null };
  }
}

function projectOf(query: URLSearchParams): string {
  return query.get('project') || defaultProject;
}

function mapOf(given: Given): Map<string, string> {
  return new Map(Object.entries(given ?? {}));
}

function devicesOf(given: GivenDevices): Map<string, Device> {
  return new Map(Object.entries(given ?? {}).map(([name, device]) => [name, mapOf(device)]));
}

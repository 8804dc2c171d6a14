import {
  createProfile,
  editProfile,
  removeProfile,
  renameProfile,
  usersOf,
  usersOfEach,
  type WantedProfile,
} from '../instances/profile-table.js';
import type { Registry, Transaction } from '../instances/registry.js';
import type { Limits } from '../limits/limits.js';
import type { Profile } from '../model/instance.js';
import { type BatchedRequest, noSuchLine, type Step } from './batch-lines.js';
import {
  type ControlHandler,
  type ControlReply,
  type ControlRequest,
  checkIfMatch,
  created,
  sync,
} from './control-reply.js';
import { filterOf } from './filter.js';
import { profileEtag, profileUrl, renderProfile } from './render.js';
import { parseBody, profilePost, profilePut, rename } from './request-body.js';
import { devicesOf, listedProject, mapOf, projectOf } from './request-project.js';

type Change = (transaction: Transaction, before: Profile) => void;

/** The handlers of /1.0/profiles. */
export class ProfileHandlers {
  readonly #registry: Registry;
  readonly #limits: Limits;

  constructor(registry: Registry, limits: Limits) {
    this.#registry = registry;
    this.#limits = limits;
  }

  readonly list: ControlHandler = (request) => {
    const project = listedProject(request, this.#registry);
    const matches = filterOf(request.query);
    const users = usersOfEach(this.#registry.list(project));
    const render = (profile: Profile): object => renderProfile(profile, users.get(profile.id) ?? []);
    const profiles = this.#registry.profiles(project).filter((profile) => matches?.(render(profile)) ?? true);
    const recursive = (request.query.get('recursion') || '0') !== '0';
    return sync(profiles.map((profile) => (recursive ? render(profile) : profileUrl(profile.name, profile.project))));
  };

  readonly get: ControlHandler = (request) => {
    const profile = this.#registry.needProfile(projectOf(request, this.#registry), request.parameters['name'] ?? '');
    const users = usersOf(this.#registry.list(profile.project), profile);
    return sync(renderProfile(profile, users), profileEtag(profile));
  };

  readonly create: ControlHandler = async (request) => {
    const project = projectOf(request, this.#registry);
    const { name, run } = this.#creation(project, request.body);
    await this.#registry.transact(run, request.requestor);
    return created(profileUrl(name, project));
  };

  readonly replace: ControlHandler = (request) => this.#edit(request, this.#changeOf('PUT', request.body));

  /** Keys and devices that are not named stay; an empty value unsets a key. */
  readonly patch: ControlHandler = (request) => this.#edit(request, this.#changeOf('PATCH', request.body));

  /**
   * What a request would do that is a line of a batch.
   * @throws Fault invalid-value, naming the field, or not-implemented
   */
  step({ method, project, name, headers, body }: BatchedRequest): Step {
    if (name === '' && method === 'POST') return this.#creation(project, body);
    const change = this.#changeOf(name === '' ? '' : method, body);
    const run: Step['run'] = (transaction) => change(transaction, transaction.profiles.need(project, name));
    if (headers['if-match'] === undefined) return { run };
    return {
      run,
      check: (transaction) => checkIfMatch(headers, () => profileEtag(transaction.profiles.need(project, name))),
    };
  }

  readonly rename: ControlHandler = async (request) => {
    const { name } = parseBody(rename, request.body);
    const { project } = await this.#change(request, (transaction, before) => renameProfile(transaction, before, name));
    return created(profileUrl(name, project));
  };

  readonly remove: ControlHandler = async (request) => {
    await this.#change(request, removeProfile);
    return sync({});
  };

  #creation(project: string, body: unknown): { name: string; run: Step['run'] } {
    const { name, description = '', config, devices } = parseBody(profilePost, body);
    const wanted = { description, config: mapOf(config), devices: devicesOf(devices) };
    return { name, run: (transaction) => createProfile(transaction, project, name, wanted, this.#limits) };
  }

  #changeOf(method: string, body: unknown): Change {
    if (method === 'DELETE') return removeProfile;
    if (method !== 'PUT' && method !== 'PATCH') throw noSuchLine();
    const given = parseBody(profilePut, body);
    return (transaction, before) => {
      const wanted = method === 'PUT' ? replacement(given) : patched(before, given);
      editProfile(transaction, before, wanted, this.#limits);
    };
  }

  async #edit(request: ControlRequest, change: Change): Promise<ControlReply> {
    await this.#change(request, (transaction, before) => {
      checkIfMatch(request.headers, () => profileEtag(before));
      change(transaction, before);
    });
    return sync({});
  }

  #change(request: ControlRequest, work: Change): Promise<Profile> {
    const project = projectOf(request, this.#registry);
    return this.#registry.transact((transaction) => {
      const before = transaction.profiles.need(project, request.parameters['name'] ?? '');
      work(transaction, before);
      return before;
    }, request.requestor);
  }
}

type ProfilePut = ReturnType<typeof parseBody<typeof profilePut>>;

function replacement({ description = '', config, devices }: ProfilePut): WantedProfile {
  return { description, config: mapOf(config), devices: devicesOf(devices) };
}

function patched(before: Profile, { description = before.description, config, devices }: ProfilePut): WantedProfile {
  return {
    description,
    config: new Map([...before.config, ...mapOf(config)]),
    devices: new Map([...before.devices, ...devicesOf(devices)]),
  };
}

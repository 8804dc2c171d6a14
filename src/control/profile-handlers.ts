import {
  createProfile,
  editProfile,
  removeProfile,
  renameProfile,
  type WantedProfile,
} from '../instances/profile-table.js';
import type { Registry, Transaction } from '../instances/registry.js';
import type { Limits } from '../limits/limits.js';
import type { Instance, Profile } from '../model/instance.js';
import { type BatchedRequest, noSuchLine, type Step } from './batch-lines.js';
import {
  type ControlHandler,
  type ControlReply,
  type ControlRequest,
  checkIfMatch,
  created,
  done,
} from './control-reply.js';
import { filterOf, type Reader, readerOf } from './filter.js';
import { asksFor, listed, long } from './listing.js';
import { ownProfile } from './ownership.js';
import { instanceUrl, profileEtag, profileUrl, renderProfile, writableProfile } from './render.js';
import { parseBody, profilePost, profilePut, rename } from './request-body.js';
import { devicesOf, listedProject, mapOf, projectOf } from './request-project.js';
import { noRollout, type RolloutOf } from './rollout.js';
import { usersOfEach, withUsers } from './used-by.js';

type Change = (transaction: Transaction, before: Profile) => void | Promise<void>;

/** The handlers of /1.0/profiles. */
export class ProfileHandlers {
  readonly #registry: Registry;
  readonly #limits: Limits;
  readonly #rolloutOf: RolloutOf;

  /** rolloutOf: how the hosts of a fleet are to take a change */
  constructor(registry: Registry, limits: Limits, rolloutOf: RolloutOf = noRollout) {
    this.#registry = registry;
    this.#limits = limits;
    this.#rolloutOf = rolloutOf;
  }

  readonly list: ControlHandler = async (request) => {
    const project = listedProject(request, this.#registry);
    const filter = filterOf(request.query);
    const profiles = this.#registry.profiles(project);
    const recursive = (request.query.get('recursion') || '0') !== '0';
    const [isWritable, isTagged] = [asksFor(request, 'writable'), asksFor(request, 'etags')];
    const needsUsers = (recursive && !isWritable) || filter !== undefined;
    const users = await usersOfEach(needsUsers ? this.#registry.snapshot().kept : [], profileIds, project);
    const matches = filter && ((profile: Profile) => filter(profileReader(profile, users.get(profile.id) ?? [])));
    const textOf = (profile: Profile) => {
      if (!recursive) return JSON.stringify(profileUrl(profile.name, profile.project));
      const etag = isTagged ? { etag: profileEtag(profile) } : {};
      if (isWritable) return JSON.stringify({ name: profile.name, ...writableProfile(profile), ...etag });
      return withUsers({ ...etag, ...renderProfile(profile, []) }, urlsOf(users.get(profile.id) ?? []));
    };
    return listed(request, profiles, { matches, textOf });
  };

  readonly get: ControlHandler = async (request) => {
    const profile = this.#registry.needProfile(projectOf(request, this.#registry), request.parameters['name'] ?? '');
    const users = await usersOfEach(this.#registry.snapshot().kept, profileIds, profile.project);
    return long(withUsers(renderProfile(profile, []), urlsOf(users.get(profile.id) ?? [])), profileEtag(profile));
  };

  readonly create: ControlHandler = async (request) => {
    const project = projectOf(request, this.#registry);
    const { name, run } = this.#creation(project, request.body);
    await this.#registry.transact(run, request.requestor);
    return created(profileUrl(name, project));
  };

  readonly replace: ControlHandler = (request) =>
    this.#edit(request, this.#changeOf('PUT', request.body, request.query));

  /** Keys and devices that are not named stay; an empty value unsets a key. */
  readonly patch: ControlHandler = (request) =>
    this.#edit(request, this.#changeOf('PATCH', request.body, request.query));

  /**
   * What a request would do that is a line of a batch.
   * @throws Fault invalid-value, naming the field, or not-implemented
   */
  step({ method, project, name, headers, body }: BatchedRequest): Step {
    if (name === '' && method === 'POST') return this.#creation(project, body);
    const change = this.#changeOf(name === '' ? '' : method, body, new URLSearchParams());
    const run: Step['run'] = (transaction) => change(transaction, ownProfile(transaction.profiles.need(project, name)));
    if (headers['if-match'] === undefined) return { run };
    return {
      run,
      check: (before) => checkIfMatch(headers, () => profileEtag(before.profile(project, name))),
    };
  }

  readonly rename: ControlHandler = async (request) => {
    const { name } = parseBody(rename, request.body);
    const { project } = await this.#change(request, (transaction, before) => renameProfile(transaction, before, name));
    return created(profileUrl(name, project));
  };

  readonly remove: ControlHandler = async (request) => {
    await this.#change(request, removeProfile);
    return done;
  };

  #creation(project: string, body: unknown): { name: string; run: Step['run'] } {
    const { name, description = '', config, devices } = parseBody(profilePost, body);
    const wanted = { description, config: mapOf(config), devices: devicesOf(devices) };
    return { name, run: (transaction) => createProfile(transaction, project, name, wanted, this.#limits) };
  }

  #changeOf(method: string, body: unknown, query: URLSearchParams): Change {
    if (method === 'DELETE') return removeProfile;
    if (method !== 'PUT' && method !== 'PATCH') throw noSuchLine();
    const given = parseBody(profilePut, body);
    return (transaction, before) => {
      const wanted = method === 'PUT' ? replacement(given) : patched(before, given);
      return editProfile(transaction, before, wanted, this.#limits, this.#rolloutOf(query, before));
    };
  }

  async #edit(request: ControlRequest, change: Change): Promise<ControlReply> {
    await this.#change(request, (transaction, before) => {
      checkIfMatch(request.headers, () => profileEtag(before));
      return change(transaction, before);
    });
    return done;
  }

  #change(request: ControlRequest, work: Change): Promise<Profile> {
    const project = projectOf(request, this.#registry);
    return this.#registry.transact(async (transaction) => {
      const before = ownProfile(transaction.profiles.need(project, request.parameters['name'] ?? ''));
      await work(transaction, before);
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

function profileIds({ profiles }: Instance): Profile['id'][] {
  return profiles.map(({ id }) => id);
}

function profileReader(profile: Profile, users: readonly Instance[]): Reader {
  const shown = readerOf(renderProfile(profile, []));
  return (path) => (path === 'used_by' ? [...urlsOf(users)].join() : shown(path));
}

function* urlsOf(users: readonly Instance[]): Iterable<string> {
  for (const { name, project } of users) yield instanceUrl(name, project);
}

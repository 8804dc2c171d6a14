import type { Profile } from '../instances/model.js';
import {
  createProfile,
  editProfile,
  removeProfile,
  renameProfile,
  usersOf,
  type WantedProfile,
} from '../instances/profiles.js';
import type { Registry, Transaction } from '../instances/registry.js';
import type { Limits } from '../limits.js';
import { parseBody, profilePost, profilePut, rename } from './body.js';
import { filterOf } from './filter.js';
import { profileEtag, profileUrl, renderProfile } from './render.js';
import { checkIfMatch, created, type HostHandler, type HostReply, type HostRequest, sync } from './reply.js';
import { devicesOf, listedProject, mapOf, projectOf } from './scope.js';

/** The handlers of /1.0/profiles. */
export class ProfileHandlers {
  readonly #registry: Registry;
  readonly #limits: Limits;

  constructor(registry: Registry, limits: Limits) {
    this.#registry = registry;
    this.#limits = limits;
  }

  readonly list: HostHandler = (request) => {
    const project = listedProject(request, this.#registry);
    const matches = filterOf(request.query);
    const profiles = this.#registry.profiles(project).filter((profile) => {
      return matches === undefined || matches(this.#render(profile));
    });
    const recursive = (request.query.get('recursion') || '0') !== '0';
    return sync(
      profiles.map((profile) => (recursive ? this.#render(profile) : profileUrl(profile.name, profile.project))),
    );
  };

  readonly get: HostHandler = (request) => {
    const profile = this.#registry.needProfile(projectOf(request, this.#registry), request.parameters['name'] ?? '');
    return sync(this.#render(profile), profileEtag(profile));
  };

  readonly create: HostHandler = async (request) => {
    const { name, description = '', config, devices } = parseBody(profilePost, request.body);
    const project = projectOf(request, this.#registry);
    const wanted = { description, config: mapOf(config), devices: devicesOf(devices) };
    await this.#registry.transact((transaction) => {
      createProfile(transaction, project, name, wanted, this.#limits);
    }, request.requestor);
    return created(profileUrl(name, project));
  };

  readonly replace: HostHandler = (request) => {
    const { description = '', config, devices } = parseBody(profilePut, request.body);
    return this.#edit(request, () => ({ description, config: mapOf(config), devices: devicesOf(devices) }));
  };

  /** Keys and devices that are not named stay; an empty value unsets a key. */
  readonly patch: HostHandler = (request) => {
    const { description, config, devices } = parseBody(profilePut, request.body);
    return this.#edit(request, (before) => ({
      description: description ?? before.description,
      config: new Map([...before.config, ...mapOf(config)]),
      devices: new Map([...before.devices, ...devicesOf(devices)]),
    }));
  };

  readonly rename: HostHandler = async (request) => {
    const { name } = parseBody(rename, request.body);
    const { project } = await this.#change(request, (transaction, before) => renameProfile(transaction, before, name));
    return created(profileUrl(name, project));
  };

  readonly remove: HostHandler = async (request) => {
    await this.#change(request, removeProfile);
    return sync({});
  };

  async #edit(request: HostRequest, wantedOf: (before: Profile) => WantedProfile): Promise<HostReply> {
    await this.#change(request, (transaction, before) => {
      checkIfMatch(request.headers, () => profileEtag(before));
      editProfile(transaction, before, wantedOf(before), this.#limits);
    });
    return sync({});
  }

  #change(request: HostRequest, work: (transaction: Transaction, before: Profile) => void): Promise<Profile> {
    const project = projectOf(request, this.#registry);
    return this.#registry.transact((transaction) => {
      const before = transaction.profiles.need(project, request.parameters['name'] ?? '');
      work(transaction, before);
      return before;
    }, request.requestor);
  }

  #render(profile: Profile): object {
    return renderProfile(profile, usersOf(this.#registry.list(profile.project), profile));
  }
}

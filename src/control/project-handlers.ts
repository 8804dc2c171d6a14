import {
  createProject,
  editProject,
  removeProject,
  renameProject,
  type WantedProject,
} from '../instances/project-table.js';
import type { Registry, Transaction } from '../instances/registry.js';
import type { Instance, Profile, Project } from '../model/instance.js';
import {
  type ControlHandler,
  type ControlReply,
  type ControlRequest,
  checkIfMatch,
  created,
  done,
} from './control-reply.js';
import { filterOf, type Reader, readerOf } from './filter.js';
import { listed, long } from './listing.js';
import type { Operations } from './operations.js';
import { instanceUrl, profileUrl, projectEtag, projectUrl, renderProject } from './render.js';
import { parseBody, projectPost, projectPut, rename } from './request-body.js';
import { mapOf } from './request-project.js';
import { usersOfEach, withUsers } from './used-by.js';

/** The handlers of /1.0/projects: plain name spaces of instances and profiles. */
export class ProjectHandlers {
  readonly #registry: Registry;
  readonly #operations: Operations;

  constructor(registry: Registry, operations: Operations) {
    this.#registry = registry;
    this.#operations = operations;
  }

  readonly list: ControlHandler = async (request) => {
    const filter = filterOf(request.query);
    const projects = this.#registry.projects();
    const recursive = (request.query.get('recursion') || '0') !== '0';
    const usersOf = recursive || filter !== undefined ? await this.#users() : () => [];
    const matches = filter && ((project: Project) => filter(projectReader(project, usersOf(project))));
    const textOf = (project: Project) =>
      recursive ? projectText(project, usersOf(project)) : JSON.stringify(projectUrl(project.name));
    return listed(request, projects, { matches, textOf });
  };

  readonly get: ControlHandler = async ({ parameters }) => {
    const project = this.#registry.needProject(parameters['name'] ?? '');
    const usersOf = await this.#users(project.name);
    return long(projectText(project, usersOf(project)), projectEtag(project));
  };

  readonly create: ControlHandler = async ({ body, requestor }) => {
    const { name, description = '', config } = parseBody(projectPost, body);
    const wanted = { description, config: mapOf(config) };
    await this.#registry.transact((transaction) => createProject(transaction, name, wanted), requestor);
    return created(projectUrl(name));
  };

  readonly replace: ControlHandler = (request) => {
    const { description = '', config } = parseBody(projectPut, request.body);
    return this.#edit(request, () => ({ description, config: mapOf(config) }));
  };

  /** Keys that are not named stay; an empty value unsets a key. */
  readonly patch: ControlHandler = (request) => {
    const { description, config } = parseBody(projectPut, request.body);
    return this.#edit(request, (before) => ({
      description: description ?? before.description,
      config: new Map([...before.config, ...mapOf(config)]),
    }));
  };

  readonly rename: ControlHandler = (request) => {
    const { name } = parseBody(rename, request.body);
    const work = this.#change(request, (transaction, before) => renameProject(transaction, before, name));
    return { kind: 'async', operation: this.#operations.start('Renaming project', [], work) };
  };

  readonly remove: ControlHandler = async (request) => {
    await this.#change(request, removeProject);
    return done;
  };

  async #edit(request: ControlRequest, wantedOf: (before: Project) => WantedProject): Promise<ControlReply> {
    await this.#change(request, (transaction, before) => {
      checkIfMatch(request.headers, () => projectEtag(before));
      editProject(transaction, before, wantedOf(before));
    });
    return done;
  }

  #change(
    { parameters, requestor }: ControlRequest,
    work: (transaction: Transaction, before: Project) => void,
  ): Promise<void> {
    return this.#registry.transact((transaction) => {
      work(transaction, transaction.projects.need('', parameters['name'] ?? ''));
    }, requestor);
  }

  /** What is in each project, of this moment. project: the only one that is asked for */
  async #users(project?: string): Promise<(project: Project) => Iterable<string>> {
    const profiles = this.#registry.profiles(project);
    const instances = await usersOfEach(this.#registry.snapshot().kept, (instance) => [instance.project], project);
    return ({ name }) => urlsOf(name, instances.get(name) ?? [], profiles);
  }
}

function projectText(project: Project, users: Iterable<string>): Iterable<string> {
  return withUsers(renderProject(project, []), users);
}

function projectReader(project: Project, users: Iterable<string>): Reader {
  const shown = readerOf(renderProject(project, []));
  return (path) => (path === 'used_by' ? [...users].join() : shown(path));
}

function* urlsOf(project: string, instances: readonly Instance[], profiles: readonly Profile[]): Iterable<string> {
  for (const { name } of instances) yield instanceUrl(name, project);
  for (const profile of profiles) if (profile.project === project) yield profileUrl(profile.name, project);
}

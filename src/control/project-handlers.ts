import {
  createProject,
  editProject,
  removeProject,
  renameProject,
  type WantedProject,
} from '../instances/project-table.js';
import type { Registry, Transaction } from '../instances/registry.js';
import type { Project } from '../model/instance.js';
import {
  type ControlHandler,
  type ControlReply,
  type ControlRequest,
  checkIfMatch,
  created,
  sync,
} from './control-reply.js';
import { filterOf } from './filter.js';
import type { Operations } from './operations.js';
import { instanceUrl, profileUrl, projectEtag, projectUrl, renderProject } from './render.js';
import { parseBody, projectPost, projectPut, rename } from './request-body.js';
import { mapOf } from './request-project.js';

/** The handlers of /1.0/projects: plain name spaces of instances and profiles. */
export class ProjectHandlers {
  readonly #registry: Registry;
  readonly #operations: Operations;

  constructor(registry: Registry, operations: Operations) {
    this.#registry = registry;
    this.#operations = operations;
  }

  readonly list: ControlHandler = ({ query }) => {
    const matches = filterOf(query);
    const projects = this.#registry.projects().filter((project) => {
      return matches === undefined || matches(this.#render(project));
    });
    const recursive = (query.get('recursion') || '0') !== '0';
    return sync(projects.map((project) => (recursive ? this.#render(project) : projectUrl(project.name))));
  };

  readonly get: ControlHandler = ({ parameters }) => {
    const project = this.#registry.needProject(parameters['name'] ?? '');
    return sync(this.#render(project), projectEtag(project));
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
    return sync({});
  };

  async #edit(request: ControlRequest, wantedOf: (before: Project) => WantedProject): Promise<ControlReply> {
    await this.#change(request, (transaction, before) => {
      checkIfMatch(request.headers, () => projectEtag(before));
      editProject(transaction, before, wantedOf(before));
    });
    return sync({});
  }

  #change(
    { parameters, requestor }: ControlRequest,
    work: (transaction: Transaction, before: Project) => void,
  ): Promise<void> {
    return this.#registry.transact((transaction) => {
      work(transaction, transaction.projects.need('', parameters['name'] ?? ''));
    }, requestor);
  }

  #render(project: Project): object {
    const instances = this.#registry.list(project.name).map(({ name }) => instanceUrl(name, project.name));
    const profiles = this.#registry.profiles(project.name).map(({ name }) => profileUrl(name, project.name));
    return renderProject(project, [...instances, ...profiles]);
  }
}

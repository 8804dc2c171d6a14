import type { Instance, InstanceState, InstanceType, InstanceWithState, InstanceWritten } from '../api/types.js';
import { Collection, type ListQuery } from './collection.js';
import type { Requests } from './requests.js';

interface Created extends Partial<InstanceWritten> {
  readonly name: string;
  readonly type?: InstanceType;
}

/** /1.0/instances */
export class Instances extends Collection<Instance, InstanceWritten> {
  constructor(requests: Requests) {
    super(requests, 'instances', ['description', 'profiles', 'config', 'devices']);
  }

  /**
   * type: left out: a container. target: of a fleet's endpoint: the host that is to have it; left out: one with few.
   * @throws ApiError 400 with the field that is wrong, 409
   */
  override async create(created: Created, target?: string): Promise<void> {
    await this.requests.request('POST', this.path(undefined, { target }), created);
  }

  /** To another host of a fleet, while it is stopped. @throws ApiError 400, when it runs, or there is no such host; 404 */
  async move(name: string, target: string): Promise<void> {
    await this.requests.request('POST', this.path(name, { target }), { name, migration: true });
  }

  /** list, with the state of each. */
  async listWithState(query: ListQuery = {}): Promise<InstanceWithState[]> {
    return this.requests.request<InstanceWithState[]>('GET', this.listPath(query, 2));
  }

  /** The JSON of each of the same, as they come. @throws as list does */
  linesWithState(query: ListQuery = {}): AsyncGenerator<string, void, void> {
    return this.requests.lines(this.listPath(query, 2));
  }

  /** get, with its state. @throws ApiError 404 */
  async getWithState(name: string): Promise<InstanceWithState> {
    return this.requests.request<InstanceWithState>('GET', this.path(name, { recursion: '1' }));
  }

  /** @throws ApiError 404 */
  async state(name: string): Promise<InstanceState> {
    return this.requests.request<InstanceState>('GET', this.#statePath(name));
  }

  /**
   * It runs: from here on its guests are answered.
   * @param pid of its init, or of the process that connects for a virtual machine, as the host sees it
   * @param cid of a virtual machine: its context id, vsock(7)
   * @throws ApiError 400, when it runs already or the process is no init of a pid namespace; 404
   */
  async start(name: string, pid: number, cid?: number): Promise<void> {
    await this.requests.request('PUT', this.#statePath(name), { action: 'start', pid, cid });
  }

  /** It runs no longer; its processes are not touched. @throws ApiError 400, when it is stopped already; 404 */
  async stop(name: string): Promise<void> {
    await this.requests.request('PUT', this.#statePath(name), { action: 'stop' });
  }

  #statePath(name: string): string {
    const [path, query] = this.path(name).split('?');
    return `${path}/state${query === undefined ? '' : `?${query}`}`;
  }
}

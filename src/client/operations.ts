import type { Operation } from '../api/types.js';
import { type Progress, pathOf, type Requests } from './requests.js';

/** /1.0/operations: operations that run, or ended less than a minute ago. */
export class OperationList {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  async list(): Promise<Operation[]> {
    const path = pathOf('operations', undefined, { recursion: '1' });
    return Object.values(await this.#requests.request<Readonly<Record<string, Operation[]>>>('GET', path)).flat();
  }

  /** @throws ApiError 404 */
  async get(id: string): Promise<Operation> {
    return this.#requests.request<Operation>('GET', pathOf('operations', id));
  }

  /**
   * Waits until it has ended. progress: told how far it is
   * @throws ApiError 404; 400 with its own sentence, when it has failed
   */
  wait(id: string, progress?: Progress): Promise<Operation> {
    return this.#requests.ended(pathOf('operations', id), progress);
  }
}

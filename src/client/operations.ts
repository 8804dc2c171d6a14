import type { Operation } from '../api/types.js';
import { pathOf, type Requests } from './requests.js';

/** /1.0/operations: those that run, and those that ended less than a minute ago. */
export class OperationList {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  async list(): Promise<Operation[]> {
    const byStatus = await this.#requests.request('GET', pathOf('operations', undefined, { recursion: '1' }));
    return Object.values(byStatus as Readonly<Record<string, Operation[]>>).flat();
  }

  /** @throws ApiError 404 */
  async get(id: string): Promise<Operation> {
    return (await this.#requests.request('GET', pathOf('operations', id))) as Operation;
  }

  /** Waits until it has ended. @throws ApiError 404; 400 with its own sentence, when it has failed */
  wait(id: string): Promise<Operation> {
    return this.#requests.ended(pathOf('operations', id));
  }
}

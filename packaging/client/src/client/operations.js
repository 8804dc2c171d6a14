import { pathOf } from './requests.js';
/** /1.0/operations: operations that run, or ended less than a minute ago. */
export class OperationList {
    #requests;
    constructor(requests) {
        this.#requests = requests;
    }
    async list() {
        const path = pathOf('operations', undefined, { recursion: '1' });
        return Object.values(await this.#requests.request('GET', path)).flat();
    }
    /** @throws ApiError 404 */
    async get(id) {
        return this.#requests.request('GET', pathOf('operations', id));
    }
    /** Waits until it has ended. @throws ApiError 404; 400 with its own sentence, when it has failed */
    wait(id) {
        return this.#requests.ended(pathOf('operations', id));
    }
}
//# sourceMappingURL=operations.js.map
import { Collection } from './collection.js';
/** /1.0/instances */
export class Instances extends Collection {
    constructor(requests) {
        super(requests, 'instances', ['description', 'profiles', 'config', 'devices']);
    }
    /** type: left out: a container. @throws ApiError 400 with the field that is wrong, 409 */
    async create(created) {
        await super.create(created);
    }
    /** list, with the state of each. */
    async listWithState(query = {}) {
        return this.requests.request('GET', this.listPath(query, 2));
    }
    /** The JSON of each of the same, as they come. @throws as list does */
    linesWithState(query = {}) {
        return this.requests.lines(this.listPath(query, 2));
    }
    /** get, with its state. @throws ApiError 404 */
    async getWithState(name) {
        return this.requests.request('GET', this.path(name, { recursion: '1' }));
    }
    /** @throws ApiError 404 */
    async state(name) {
        return this.requests.request('GET', this.#statePath(name));
    }
    /**
     * It runs: from here on its guests are answered.
     * @param pid of its init, or of the process that connects for a virtual machine, as the host sees it
     * @param cid of a virtual machine: its context id, vsock(7)
     * @throws ApiError 400, when it runs already or the process is no init of a pid namespace; 404
     */
    async start(name, pid, cid) {
        await this.requests.request('PUT', this.#statePath(name), { action: 'start', pid, cid });
    }
    /** It runs no longer; its processes are not touched. @throws ApiError 400, when it is stopped already; 404 */
    async stop(name) {
        await this.requests.request('PUT', this.#statePath(name), { action: 'stop' });
    }
    #statePath(name) {
        const [path, query] = this.path(name).split('?');
        return `${path}/state${query === undefined ? '' : `?${query}`}`;
    }
}
//# sourceMappingURL=instance-collection.js.map
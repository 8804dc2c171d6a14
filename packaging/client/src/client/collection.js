import { ApiError } from './client-errors.js';
const editAttempts = 5;
const preconditionFailed = 412;
/** What is kept under names: instances, profiles, projects. */
export class Collection {
    requests;
    #collection;
    #fields;
    #inProject;
    /** fields: only ones that can be written */
    constructor(requests, collection, fields, inProject = true) {
        this.requests = requests;
        this.#collection = collection;
        this.#fields = fields;
        this.#inProject = inProject;
    }
    /** By name. @throws ApiError 400, when the filter cannot be read; 404, when there is no such project */
    async list(query = {}) {
        return this.requests.request('GET', this.listPath(query, 1));
    }
    /** The same, one by one as they come, however many there are: all of the moment at which they were asked for. */
    async *each(query = {}) {
        for await (const line of this.lines(query))
            yield JSON.parse(line);
    }
    /** The JSON of each. @throws as list does */
    lines(query = {}) {
        return this.requests.lines(this.listPath(query, 1));
    }
    /** @throws ApiError 404 */
    async get(name) {
        return (await this.tagged(name)).value;
    }
    /** The same, with the entity tag of this version. @throws ApiError 404 */
    async tagged(name) {
        const { metadata: value, etag } = await this.requests.exchange('GET', this.path(name));
        return { value, etag };
    }
    /** @throws ApiError 400 with the field that is wrong, 409 */
    async create(created) {
        await this.requests.request('POST', this.path(), created);
    }
    /**
     * Changes what is named: keys and devices that are not named stay, an empty value unsets a key.
     * etag: of the version that is meant. @throws ApiError 400 with the field that is wrong, 404, 412
     */
    async patch(name, changed, etag) {
        await this.#write('PATCH', name, changed, etag);
    }
    /** Replaces all that can be written; what is not given is empty from then on. @throws as patch does */
    async replace(name, written, etag) {
        await this.#write('PUT', name, written, etag);
    }
    /**
     * Reads, changes and replaces; what change leaves out stays. When it was changed in between, all
     * of it is done again. @throws ApiError 400 with the field that is wrong, 404, 412 when it was outrun five times
     */
    async edit(name, change) {
        for (let attempt = 1;; attempt++) {
            const { value, etag } = await this.tagged(name);
            try {
                await this.replace(name, { ...this.#written(value), ...change(value) }, etag);
                return;
            }
            catch (error) {
                const outrun = error instanceof ApiError && error.status === preconditionFailed;
                if (!outrun || attempt === editAttempts)
                    throw error;
            }
        }
    }
    /** @throws ApiError 400, 404, 409 */
    async rename(name, newName) {
        await this.requests.request('POST', this.path(name), { name: newName });
    }
    /** @throws ApiError 400 when it is in use or runs, 403 for what is always there, 404 */
    async delete(name) {
        await this.requests.request('DELETE', this.path(name));
    }
    path(name, query = {}) {
        const own = this.#inProject ? query : { project: undefined, ...query };
        return this.requests.path(this.#collection, name, own);
    }
    listPath({ filter, allProjects }, recursion) {
        const all = allProjects ? { 'all-projects': 'true', project: undefined } : {};
        return this.path(undefined, { recursion: String(recursion), filter, ...all });
    }
    #written(value) {
        const written = {};
        for (const field of this.#fields)
            written[field] = value[field];
        return written;
    }
    async #write(method, name, body, etag) {
        await this.requests.request(method, this.path(name), body, etag === undefined ? {} : { 'if-match': etag });
    }
}
//# sourceMappingURL=collection.js.map
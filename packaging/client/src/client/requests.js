import { text } from 'node:stream/consumers';
import { ApiError, ConnectionError } from './client-errors.js';
/** Seconds between two questions how far it is. */
const progressSeconds = 0.1;
/** Requests of the host API and their envelopes. */
export class Requests {
    connection;
    /** that is meant when none is named */
    project;
    constructor(connection, project) {
        this.connection = connection;
        this.project = project;
    }
    /**
     * What the answer is about; of an operation, the operation when it has ended.
     * @throws ApiError, also for an operation that has failed; ConnectionError
     */
    async request(method, path, body, headers = {}) {
        const envelope = await this.exchange(method, path, body, headers);
        return envelope.type === 'async' ? this.ended(envelope.operation) : envelope.metadata;
    }
    /**
     * The envelope of the answer. body: text is sent as it is, anything else as JSON.
     * @throws ApiError, ConnectionError
     */
    async exchange(method, path, body, headers = {}) {
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        const type = text === undefined ? {} : { 'content-type': 'application/json' };
        const sent = text === undefined ? {} : { body: text };
        return envelopeOf(await this.connection.ask({ method, path, headers: { ...type, ...headers }, ...sent }));
    }
    /**
     * The lines of a long list, on a connection of its own, which ends with the iteration.
     * @throws ApiError, ConnectionError
     */
    async *lines(path) {
        const headers = { accept: 'application/x-ndjson' };
        const response = await this.connection.stream({ method: 'GET', path, headers, alone: true });
        try {
            if (response.statusCode !== 200)
                envelopeOf({ status: response.statusCode ?? 0, headers: response.headers, text: await text(response) });
            yield* linesIn(response);
        }
        catch (error) {
            if (error instanceof ApiError || error instanceof ConnectionError)
                throw error;
            throw new ConnectionError(this.connection.path, error);
        }
        finally {
            response.destroy();
        }
    }
    /**
     * Waits for an operation. path: /1.0/operations/ID
     * @throws ApiError, when it has failed
     */
    async ended(path, progress) {
        for (;;) {
            const timeout = progress === undefined ? '' : `?timeout=${progressSeconds}`;
            const { metadata: operation } = await this.exchange('GET', `${path}/wait${timeout}`);
            if (operation.status === 'Failure')
                throw new ApiError(400, operation.err);
            const { stage, percent } = (operation.metadata?.['progress'] ?? {});
            if (stage !== undefined)
                progress?.(stage, Number(percent));
            if (operation.status === 'Success')
                return operation;
        }
    }
    /**
     * Sends a body of any length, on a connection of its own. size: bytes
     * @returns the operation as it began, when it has ended
     * @throws ApiError, ConnectionError
     */
    async upload(path, body, size, headers) {
        const sent = { ...headers, 'content-length': String(size) };
        const answer = await this.connection.ask({ method: 'POST', path, headers: sent, body, alone: true });
        const { operation, metadata } = envelopeOf(answer);
        await this.ended(operation);
        return metadata;
    }
    /**
     * The path of a collection, or of one thing in it, with the project that is meant.
     * query: added where it is not undefined
     */
    path(collection, name, query = {}) {
        const project = this.project === 'default' ? undefined : this.project;
        return pathOf(collection, name, { project, ...query });
    }
}
async function* linesIn(response) {
    let rest = '';
    for await (const chunk of response.setEncoding('utf8')) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        yield* lines;
    }
}
/**
 * /1.0/instances/web1?project=blue
 * @throws ApiError 404 for a name that would make it the path of something else, such as an empty one
 */
export function pathOf(collection, name, query = {}) {
    if (name !== undefined && ['', '.', '..'].includes(name))
        throw new ApiError(404, `"${name}" is no name`);
    const given = Object.entries(query).filter((entry) => entry[1] !== undefined);
    const search = given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
    return `/1.0/${collection}${name === undefined ? '' : `/${encodeURIComponent(name)}`}${search}`;
}
/** /1.0/instances/web1, of the default project */
export function instancePath(name) {
    return pathOf('instances', name);
}
/**
 * What is in an answer of the host API.
 * @throws ApiError
 */
export function envelopeOf(answer) {
    const envelope = parse(answer);
    if (envelope.type === 'error')
        throw new ApiError(envelope.error_code, envelope.error);
    return { ...envelope, type: envelope.type, etag: answer.headers.etag ?? '' };
}
function parse({ status, text }) {
    try {
        return JSON.parse(text);
    }
    catch {
        throw new ApiError(status, `This is no answer of the host API: ${text.slice(0, 200)}`);
    }
}
//# sourceMappingURL=requests.js.map
import { text } from 'node:stream/consumers';
import { ApiError } from './client-errors.js';
import { Connection } from './connection.js';
import { follow } from './follow.js';
import { pathOf } from './requests.js';
const notFound = 404;
/**
 * A guest's view of itself, on /dev/lxd/sock; LXD's own socket is served as well, but replays no events. Everything
 * fails with ApiError, whose message is the server's sentence (docs/errors.md), or with ConnectionError.
 */
export class GuestClient {
    #connection;
    constructor({ socketPath = '/dev/lxd/sock', connect } = {}) {
        this.#connection = new Connection(socketPath, connect);
    }
    async info() {
        return JSON.parse((await this.#ask('/1.0')).text);
    }
    /** Tells the host how far the instance is. */
    async setState(state) {
        await this.#ask('/1.0', 'PATCH', JSON.stringify({ state }));
    }
    /** The keys that are set and may be read, sorted: user.* and cloud-init.* */
    async keys() {
        const paths = JSON.parse((await this.#ask('/1.0/config')).text);
        return paths.map((path) => path.slice('/1.0/config/'.length));
    }
    /** A value; undefined: not set. @throws ApiError 403, for a key that guests may not read */
    async config(key) {
        try {
            return (await this.#ask(`/1.0/config/${encodeURIComponent(key)}`)).text;
        }
        catch (error) {
            if (error instanceof ApiError && error.status === notFound)
                return undefined;
            throw error;
        }
    }
    /** What cloud-init reads: YAML with instance-id, local-hostname, and user.meta-data as it is. */
    async metaData() {
        return (await this.#ask('/1.0/meta-data')).text;
    }
    async devices() {
        return JSON.parse((await this.#ask('/1.0/devices')).text);
    }
    /**
     * A signed document that proves to another service which instance this is (a JWT, docs/identity.md). audience: the
     * service; nonce: comes back in the document, which ties it to one exchange
     * @throws ApiError 403, when the host has switched it off
     */
    async identity({ audience, nonce }) {
        return (await this.#ask(pathOf('identity', undefined, { audience, nonce }))).text;
    }
    /**
     * An image, by its full fingerprint: the file, or both files of a split one as a form. It must be read, or be
     * destroyed. from: bytes that are there already. @throws ApiError 403, 404
     */
    async exportImage(fingerprint, from = 0) {
        const path = `/1.0/images/${fingerprint}/export`;
        const headers = from === 0 ? {} : { range: `bytes=${from}-` };
        const response = await this.#connection.stream({ method: 'GET', path, headers, alone: true });
        const status = response.statusCode ?? 0;
        if (status < 400)
            return response;
        throw new ApiError(status, JSON.parse(await text(response)).error);
    }
    /**
     * What changes, in order. After a lost connection the client reconnects, and what was missed is replayed: each event is
     * heard exactly once, also over a restart of the daemon.
     * @throws ApiError 410, when more was missed than the host keeps (256 events): read everything again, then listen
     * again; 403, when the host has switched the API off. ConnectionError, when there is no socket at the start
     */
    events({ types, since, signal } = {}) {
        // Host and guest have the same clock. What comes after this moment is missed when the connection is lost before
        // the first event.
        let began = since;
        const connect = (last) => {
            const from = last?.timestamp ?? began;
            began ??= now();
            return this.#connection.webSocket(pathOf('events', undefined, { type: types?.join(','), since: from }));
        };
        return follow({ socketPath: this.#connection.path, signal, connect, reconnected: () => [] });
    }
    /** Closes the kept connection; events end by their signal, or with their iteration. */
    async close() {
        this.#connection.close();
    }
    async #ask(path, method = 'GET', body) {
        const answer = await this.#connection.ask({ method, path, ...(body === undefined ? {} : { body }) });
        if (answer.status !== 200)
            throw new ApiError(answer.status, answer.text.trim());
        return answer;
    }
}
/** In the form of the events' timestamps. */
function now() {
    return new Date().toISOString().replace('Z', '000000Z');
}
//# sourceMappingURL=guest-client.js.map
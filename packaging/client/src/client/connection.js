import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { WebSocket } from 'ws';
import { ConnectionError } from './client-errors.js';
/** One connection, kept open: requests are answered in the order in which they were made. */
class OneConnection extends Agent {
    #connect;
    constructor(open) {
        super({ keepAlive: true, maxSockets: 1 });
        this.#connect = open;
    }
    createConnection() {
        return this.#connect();
    }
}
/** HTTP and WebSockets over a Unix socket. */
export class Connection {
    path;
    #connect;
    #kept;
    /** open: gives a connection that was made elsewhere */
    constructor(path, open = () => connect(path)) {
        this.path = path;
        this.#connect = open;
        this.#kept = new OneConnection(open);
    }
    /**
     * The answer, whatever its status.
     * @throws ConnectionError
     */
    async ask(asked) {
        const response = await this.stream(asked);
        const body = await buffer(response).catch((error) => this.#fail(error));
        if (asked.alone)
            response.destroy(); // an upload may have been refused before it was through
        return { status: response.statusCode ?? 0, headers: response.headers, text: body.toString('utf8') };
    }
    /**
     * The same with a body that is yet to be read; it must be, or be destroyed.
     * @throws ConnectionError
     */
    async stream(asked) {
        try {
            return await this.#send(asked);
        }
        catch (error) {
            if (error instanceof OutOfDate && asked.method !== 'POST')
                return await this.#send(asked).catch(this.#fail);
            return this.#fail(error);
        }
    }
    /** handshakeTimeout: milliseconds; 0: none */
    webSocket(path, handshakeTimeout = 0) {
        // node:http only sets the time limit on connections that it has made itself; ws takes it away when it is open.
        const createConnection = () => this.#connect().setTimeout(handshakeTimeout);
        return new WebSocket(`ws://devlxd${path}`, { createConnection, handshakeTimeout, perMessageDeflate: false });
    }
    /** Ends what is open, answered or not. */
    close() {
        this.#kept.destroy();
    }
    #send({ method, path, headers = {}, body, alone = false, signal }) {
        return new Promise((resolve, reject) => {
            const agent = alone ? { createConnection: this.#connect } : { agent: this.#kept };
            const sent = request({ ...agent, method, path, signal, headers: { host: 'devlxd', ...headers } });
            sent.on('response', resolve);
            sent.on('error', (error) => reject(sent.reusedSocket ? new OutOfDate(error) : error));
            if (body === undefined || typeof body === 'string')
                sent.end(body);
            else
                pipeline(body, sent).catch(reject);
        });
    }
    #fail = (error) => {
        throw new ConnectionError(this.path, error instanceof OutOfDate ? error.cause : error);
    };
}
/** The daemon has closed a connection that was open for long, while it was being used again. */
class OutOfDate extends Error {
    cause;
    constructor(cause) {
        super();
        this.cause = cause;
    }
}
//# sourceMappingURL=connection.js.map
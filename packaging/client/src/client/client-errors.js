/** The daemon has answered that it will not, or cannot; the message is its own sentence. */
export class ApiError extends Error {
    name = 'ApiError';
    /** of HTTP: 400 what was sent is wrong, 404 not found, 409 exists already, 412 changed in the meantime, ... */
    status;
    constructor(status, sentence) {
        super(sentence);
        this.status = status;
    }
}
/** No answer: no daemon, no permission, or it went away in the middle. What was asked for may have been done. */
export class ConnectionError extends Error {
    name = 'ConnectionError';
    /** of the operating system: ENOENT, ECONNREFUSED, EACCES, ECONNRESET, ... */
    code;
    constructor(socketPath, cause) {
        const code = 'code' in cause ? String(cause.code) : '';
        super(sentences.get(code)?.(socketPath) ?? `${socketPath}: ${cause.message}`, { cause });
        this.code = code;
    }
}
const sentences = new Map([
    ['ENOENT', (path) => `No devlxd runs here: there is no ${path}.`],
    ['ECONNREFUSED', (path) => `No devlxd listens on ${path}.`],
    ['EACCES', (path) => `You may not use ${path}; it is for root and for the user that runs the daemon.`],
]);
//# sourceMappingURL=client-errors.js.map
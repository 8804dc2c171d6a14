/** The daemon has answered that it will not, or cannot; the message is its own sentence. */
export declare class ApiError extends Error {
    readonly name = "ApiError";
    /** of HTTP: 400 what was sent is wrong, 404 not found, 409 exists already, 412 changed in the meantime, ... */
    readonly status: number;
    constructor(status: number, sentence: string);
}
/** No answer: no daemon, no permission, or it went away in the middle. What was asked for may have been done. */
export declare class ConnectionError extends Error {
    readonly name = "ConnectionError";
    /** of the operating system: ENOENT, ECONNREFUSED, EACCES, ECONNRESET, ... */
    readonly code: string;
    constructor(socketPath: string, cause: Error);
}

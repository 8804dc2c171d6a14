import type { Readable } from 'node:stream';
import type { Operation } from '../api/types.js';
import type { Connection, Headers } from './connection.js';
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
/** What is in an envelope of the host API that is no error. */
export interface Envelope<Metadata> {
    readonly type: 'sync' | 'async';
    /** path of the operation; '' when there is none */
    readonly operation: string;
    readonly metadata: Metadata;
    /** of what was asked for; '' when it has none */
    readonly etag: string;
}
/** Told now and then how far an operation is: 0 to 100. */
export type Progress = (stage: string, percent: number) => void;
/** Requests of the host API and their envelopes. */
export declare class Requests {
    readonly connection: Connection;
    /** that is meant when none is named */
    readonly project: string;
    constructor(connection: Connection, project: string);
    /**
     * What the answer is about; of an operation, the operation when it has ended.
     * @throws ApiError, also for an operation that has failed; ConnectionError
     */
    request<Metadata>(method: Method, path: string, body?: unknown, headers?: Headers): Promise<Metadata>;
    /**
     * The envelope of the answer. body: text is sent as it is, anything else as JSON.
     * @throws ApiError, ConnectionError
     */
    exchange<Metadata>(method: Method, path: string, body?: unknown, headers?: Headers): Promise<Envelope<Metadata>>;
    /**
     * The lines of a long list, on a connection of its own, which ends with the iteration.
     * @throws ApiError, ConnectionError
     */
    lines(path: string): AsyncGenerator<string, void, void>;
    /**
     * Waits for an operation. path: /1.0/operations/ID
     * @throws ApiError, when it has failed
     */
    ended<Ended extends Operation = Operation>(path: string, progress?: Progress): Promise<Ended>;
    /**
     * Sends a body of any length, on a connection of its own. size: bytes
     * @returns the operation as it began, when it has ended
     * @throws ApiError, ConnectionError
     */
    upload(path: string, body: Readable, size: number, headers: Headers): Promise<Operation>;
    /**
     * The path of a collection, or of one thing in it, with the project that is meant.
     * query: added where it is not undefined
     */
    path(collection: string, name?: string, query?: Readonly<Record<string, string | undefined>>): string;
}
/**
 * /1.0/instances/web1?project=blue
 * @throws ApiError 404 for a name that would make it the path of something else, such as an empty one
 */
export declare function pathOf(collection: string, name: string | undefined, query?: Readonly<Record<string, string | undefined>>): string;
/** /1.0/instances/web1, of the default project */
export declare function instancePath(name: string): string;
/**
 * What is in an answer of the host API.
 * @throws ApiError
 */
export declare function envelopeOf<Metadata>(answer: WireAnswer): Envelope<Metadata>;
interface WireAnswer {
    readonly status: number;
    readonly headers: {
        readonly etag?: string | undefined;
    };
    readonly text: string;
}
export {};

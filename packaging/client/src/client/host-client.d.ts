import type { Readable } from 'node:stream';
import type { BatchLine, HostEvent, Operation, Profile, ProfileWritten, Project, ProjectWritten, ServerInfo } from '../api/types.js';
import { Collection } from './collection.js';
import { type Connect, type Headers } from './connection.js';
import { IdentityClient } from './identity-client.js';
import { Images } from './image-collection.js';
import { Instances } from './instance-collection.js';
import { OperationList } from './operations.js';
import { type Method, type Progress } from './requests.js';
export interface HostOptions {
    /** that is meant where none is named; `default` */
    readonly project?: string;
    /** to reach the control socket another way */
    readonly connect?: Connect;
}
export interface HostEventsOptions {
    /** all, when left out */
    readonly types?: readonly ('lifecycle' | 'operation' | 'logging')[];
    /** of all projects, and not only of the client's */
    readonly allProjects?: boolean;
    /** ends the iteration, quietly */
    readonly signal?: AbortSignal;
}
/**
 * An operator's hand on a daemon: LXD's REST dialect on its control socket. Everything fails with ApiError, whose
 * message is the daemon's sentence, or with ConnectionError. Requests are made one after the other, in the order of
 * the calls, on one connection that is kept open; images and events have connections of their own.
 */
export declare class HostClient {
    #private;
    readonly instances: Instances;
    readonly profiles: Collection<Profile, ProfileWritten>;
    readonly projects: Collection<Project, ProjectWritten>;
    readonly images: Images;
    readonly operations: OperationList;
    readonly identity: IdentityClient;
    /** runDir: of the daemon; $DEVLXD_RUN_DIR or the daemon's own default when left out */
    constructor(runDir?: string, { project, connect }?: HostOptions);
    /** What the server is. */
    info(): Promise<ServerInfo>;
    /** Prometheus's text format; docs/metrics.md. perInstance: the metrics that name instances */
    metrics({ perInstance }?: {
        readonly perInstance?: boolean;
    }): Promise<string>;
    /**
     * A copy of everything that is stored, as an SQLite database; it must be read to its end, or destroyed.
     * @throws ApiError, ConnectionError
     */
    backup(): Promise<Readable>;
    /**
     * Makes many changes in one transaction: all of them or none.
     * progress: told how far it is, while it is checked and written
     * @throws ApiError with the number of the line that is wrong, and its field
     */
    batch(lines: readonly BatchLine[], progress?: Progress): Promise<Operation>;
    /**
     * What happens on the host, in order. After a reconnection, which is automatic, a `reconnected` event says that
     * some may be missing: read the state again.
     * @throws ApiError, ConnectionError when there is no daemon at the start
     */
    events({ types, allProjects, signal }?: HostEventsOptions): AsyncGenerator<HostEvent, void, void>;
    /**
     * Any request of the host API, for what has no method here.
     * @returns what the answer is about; of an operation, the operation when it has ended
     */
    request(method: Method, path: string, body?: unknown, headers?: Headers): Promise<unknown>;
    /**
     * Any upload, on a connection of its own. size: bytes of the body
     * @returns the metadata of its operation, when that has ended
     */
    upload(path: string, body: Readable, size: number, headers: Headers): Promise<unknown>;
    /** Closes the kept connection; events end by their signal, or with their iteration. */
    close(): Promise<void>;
}
export declare function defaultRunDir(): string;

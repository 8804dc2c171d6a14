import type { EventEmitter } from 'node:events';
import { type IncomingMessage } from 'node:http';
import { type Socket } from 'node:net';
import type { Readable } from 'node:stream';
export type Headers = Readonly<Record<string, string>>;
export interface Asked {
    readonly method: string;
    readonly path: string;
    readonly headers?: Headers;
    readonly body?: string | Readable;
    /** on a connection of its own, for what takes long */
    readonly alone?: boolean;
    /** ends it, answered or not */
    readonly signal?: AbortSignal | undefined;
}
export interface Answer {
    readonly status: number;
    readonly headers: IncomingMessage['headers'];
    readonly text: string;
}
/** Opens a connection to a daemon. */
export type Connect = () => Socket;
/** What is used of a WebSocket of ws, so that programs with this library need no types of ws. */
export interface EventSocket extends EventEmitter {
    pause(): void;
    resume(): void;
    terminate(): void;
}
/** HTTP and WebSockets over a Unix socket. */
export declare class Connection {
    #private;
    readonly path: string;
    /** open: gives a connection that was made elsewhere */
    constructor(path: string, open?: Connect);
    /**
     * The answer, whatever its status.
     * @throws ConnectionError
     */
    ask(asked: Asked): Promise<Answer>;
    /**
     * The same with a body that is yet to be read; it must be, or be destroyed.
     * @throws ConnectionError
     */
    stream(asked: Asked): Promise<IncomingMessage>;
    /** handshakeTimeout: milliseconds; 0: none */
    webSocket(path: string, handshakeTimeout?: number): EventSocket;
    /** Ends what is open, answered or not. */
    close(): void;
}

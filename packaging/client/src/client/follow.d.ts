import type { EventSocket } from './connection.js';
export interface Followed<Event> {
    readonly socketPath: string;
    /** ends the iteration, quietly */
    readonly signal: AbortSignal | undefined;
    /** last: the event that was heard last */
    connect(last: Event | undefined): EventSocket;
    /** what is told of a reconnection, before anything that is heard after it */
    reconnected(): Event[];
}
/**
 * Events until the iteration is ended; after a lost connection it reconnects.
 * @throws what the first connection fails with; later ApiError only, when the daemon does not want to be followed
 */
export declare function follow<Event>({ socketPath, signal, connect, reconnected, }: Followed<Event>): AsyncGenerator<Event, void, void>;

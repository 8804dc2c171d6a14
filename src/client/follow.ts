import { on } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError, ConnectionError } from './client-errors.js';
import type { EventSocket } from './connection.js';

/** Milliseconds before the first attempt to come back; then twice as many each time. */
const firstPause = 50;
const longestPause = 5_000;

/** So many messages may wait to be taken before nothing more is read, and so few before reading goes on. */
const waiting = { most: 1024, least: 128 } as const;

export interface Followed<Event> {
  readonly socketPath: string;
  /** ends the iteration, quietly */
  readonly signal: AbortSignal | undefined;
  /** last: the event that was heard last */
  connect(last: Event | undefined): Promise<EventSocket>;
  /** what is told of a reconnection, before anything that is heard after it */
  reconnected(): Event[];
}

/**
 * Events until the iteration is ended; after a lost connection it reconnects.
 * @throws what the first connection fails with; later ApiError only, when the daemon does not want to be followed
 */
export async function* follow<Event>({
  socketPath,
  signal,
  connect,
  reconnected,
}: Followed<Event>): AsyncGenerator<Event, void, void> {
  let last: Event | undefined;
  let known = false;
  let next = firstPause;
  while (!signal?.aborted) {
    const socket = await connect(last);
    const stop = (): void => socket.terminate();
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    try {
      const arrivals = messagesOf(socket);
      await opened(socket, socketPath);
      if (known) yield* reconnected();
      known = true;
      next = firstPause;
      for await (const message of arrivals) {
        const event = JSON.parse(message) as Event;
        yield event;
        last = event;
      }
    } catch (error) {
      if (!signal?.aborted && (!known || isFinal(error))) throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
      stop();
    }
    await pause(next, undefined, { signal }).catch(() => undefined);
    next = Math.min(next * 2, longestPause);
  }
}

/** What comes until the socket closes. Taken up at once, so that nothing is missed before it is open. */
function messagesOf(socket: EventSocket): AsyncGenerator<string> {
  socket.on('error', () => undefined); // said by opened(), or by 'close'
  const options = { close: ['close'], highWaterMark: waiting.most, lowWaterMark: waiting.least };
  const arrivals = on(socket, 'message', options);
  return (async function* () {
    for await (const [data] of arrivals) yield String(data);
  })();
}

function opened(socket: EventSocket, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('open', resolve);
    socket.on('close', () => reject(new ConnectionError(socketPath, new Error('it closed the connection'))));
    socket.on('error', (error) => reject(new ConnectionError(socketPath, error)));
    socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      text(response)
        .then((body) => reject(new ApiError(response.statusCode ?? 0, sentenceOf(body))))
        .catch(reject);
    });
  });
}

/** The sentence in an envelope of the host API, or the plain text of the guest API. */
function sentenceOf(body: string): string {
  return body.startsWith('{') ? String((JSON.parse(body) as { error: string }).error) : body.trim();
}

/** A 5xx passes; what is forbidden, gone or wrong stays so. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.status < 500;
}

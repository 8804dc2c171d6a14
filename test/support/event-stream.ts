import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { ended } from './http.js';

export interface GuestEvent {
  readonly type: string;
  readonly timestamp: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A guest, or a machine's agent. */
interface Connecting {
  connect(path: string): Socket;
}

/** An open event stream of a guest, and what has come on it. */
export class EventStream {
  readonly events: GuestEvent[] = [];
  /** the close code of a WebSocket; 0 for a chunked stream */
  readonly closed: Promise<number>;
  readonly end: () => void;

  readonly #arrived = new EventEmitter();

  private constructor(closed: Promise<number>, end: () => void) {
    this.closed = closed;
    this.end = end;
    closed.then(() => this.#arrived.emit('change'));
  }

  /** Resolves when this many events have come, or the stream has ended. */
  async atLeast(count: number): Promise<void> {
    let open = true;
    this.closed.then(() => {
      open = false;
    });
    while (open && this.events.length < count) await once(this.#arrived, 'change');
  }

  #add(text: string): void {
    this.events.push(JSON.parse(text));
    this.#arrived.emit('change');
  }

  static async webSocket(guest: Connecting, path: string, query = ''): Promise<EventStream> {
    const socket = new WebSocket(`ws://lxd/1.0/events${query}`, {
      createConnection: () => guest.connect(path),
      perMessageDeflate: false,
    });
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    const stream = new EventStream(closed, () => socket.close());
    socket.on('message', (data) => stream.#add(String(data)));
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    return stream;
  }

  static async chunked(guest: Connecting, path: string, query = ''): Promise<EventStream> {
    const socket = guest.connect(path).setEncoding('utf8');
    const stream = new EventStream(
      ended(socket).then(() => 0),
      () => socket.destroy(),
    );
    let rest = '';
    const head = await new Promise<string>((resolve) => {
      stream.closed.then(() => resolve(''));
      socket.on('data', (data: string) => {
        rest += data;
        resolve(rest);
        // Each event is a chunk: its length in hex, and a line.
        const lines = rest.split('\r\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line.startsWith('{')) stream.#add(line);
      });
      socket.write(`GET /1.0/events${query} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
    });
    assert.match(head, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/json\r\n/);
    return stream;
  }
}

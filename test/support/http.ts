import type { Socket } from 'node:net';
import { type buildConnector, Client, type Dispatcher } from 'undici';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** HTTP requests, one after the other, on a connection that is open already. */
export class Session {
  readonly #client: Client;

  constructor(socket: Socket) {
    // undici expects to hear of a connection later, never at once.
    const connect: buildConnector.connector = (_options, callback) =>
      setImmediate(() => (socket.destroyed ? callback(new Error('connection closed'), null) : callback(null, socket)));
    this.#client = new Client('http://lxd', { connect, keepAliveTimeout: 600_000 });
  }

  async ask(path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<Answer> {
    const sent: Dispatcher.RequestOptions = {
      path,
      method: method as Dispatcher.HttpMethod,
      headers,
      ...(body === undefined ? {} : { body }),
    };
    const response = await this.#client.request(sent);
    return { status: response.statusCode, headers: response.headers, body: await response.body.text() };
  }

  async close(): Promise<void> {
    await this.#client.destroy();
  }
}

/** One request on a connection of its own, as cloud-init makes them. */
export async function ask(socket: Socket, path: string, asking: Asking = {}): Promise<Answer> {
  const session = new Session(socket);
  try {
    return await session.ask(path, asking);
  } finally {
    await session.close();
  }
}

/** Whatever comes back for these bytes until the connection ends, or until stop says that it is enough. */
export function exchange(
  socket: Socket,
  bytes: string | Buffer,
  stop?: (received: string) => boolean,
): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const finish = (): void => {
      socket.destroy();
      resolve(received);
    };
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      received += chunk;
      if (stop?.(received)) finish();
    });
    socket.on('error', finish);
    socket.on('close', finish);
    socket.write(bytes);
  });
}

/** Resolves when the other side has closed the connection. */
export function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.resume();
  });
}

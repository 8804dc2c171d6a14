import { type IncomingHttpHeaders, request } from 'node:http';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface Downloaded {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request, whose answer may be of any length and kind, on a connection of its own. */
export async function download(
  socket: Socket,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Downloaded> {
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const asked = request({ createConnection: () => socket, path, method, headers: { host: 'lxd', ...headers } });
    asked.on('response', resolve).on('error', reject).end();
  });
  return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) };
}

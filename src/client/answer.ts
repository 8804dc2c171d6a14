import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** All of it, whatever its status. */
export async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const body = await buffer(response);
  return { status: response.statusCode ?? 0, headers: response.headers, text: body.toString('utf8') };
}

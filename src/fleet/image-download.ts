import { createReadStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { Readable } from 'node:stream';

/** A server that sends nothing for this long has failed. */
const idleMilliseconds = 30_000;
const mostRedirects = 5;

/**
 * The bytes at an https:// URL or in a file; they end with an error when there are more than that.
 * @throws Error, when there is nothing
 */
export async function bytesFrom(origin: string, mostBytes: number, signal: AbortSignal): Promise<Readable> {
  const source = origin.startsWith('/') ? createReadStream(origin, { signal }) : await downloaded(origin, signal);
  return Readable.from(atMost(source, mostBytes), { objectMode: false });
}

async function downloaded(url: string, signal: AbortSignal, redirects = 0): Promise<IncomingMessage> {
  const response = await asked(url, signal);
  const { statusCode: status = 0, headers } = response;
  if (status === 200) return response;
  response.resume();
  if (headers.location === undefined || status < 300 || status > 399)
    throw new Error(`${url} is answered with ${status}`);
  const next = new URL(headers.location, url);
  if (next.protocol !== 'https:') throw new Error(`${url} leads to ${next.protocol}, and only https: is followed`);
  if (redirects === mostRedirects) throw new Error(`${url} leads nowhere`);
  return downloaded(next.href, signal, redirects + 1);
}

function asked(url: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = get(url, { signal, timeout: idleMilliseconds, agent: false }, resolve);
    request.on('timeout', () => request.destroy(new Error(`${url} sends nothing`)));
    request.on('error', reject);
  });
}

async function* atMost(source: Readable, mostBytes: number): AsyncGenerator<Buffer, void, void> {
  let bytes = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new Error(`there are more than ${mostBytes} bytes`);
    yield chunk;
  }
}

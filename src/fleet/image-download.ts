import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { Readable } from 'node:stream';

/** A server that sends nothing for this long has failed. */
const idleMilliseconds = 30_000;
const mostRedirects = 5;
/** One that is slower keeps all other images waiting. */
const leastBytesPerSecond = 16 * 1024;
const leastMilliseconds = 60_000;
const mostMilliseconds = 24 * 3600 * 1000;

/**
 * The bytes at an https:// URL or in a file; they end with an error when there are more than that, or when they come
 * too slowly.
 * @throws Error, when there is nothing
 */
export async function bytesFrom(origin: string, mostBytes: number, stopping: AbortSignal): Promise<Readable> {
  const milliseconds = leastMilliseconds + Math.round((mostBytes / leastBytesPerSecond) * 1000);
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(Math.min(milliseconds, mostMilliseconds))]);
  const source = origin.startsWith('/') ? await inFile(origin) : await downloaded(origin, signal);
  return Readable.from(atMost(source, mostBytes, signal), { objectMode: false });
}

/** A pipe or a terminal may never have anything to read: opening one is not to wait for it. */
async function inFile(path: string): Promise<Readable> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if ((await file.stat()).isFile()) return file.createReadStream();
  await file.close();
  throw new Error(`${path} is no regular file`);
}

async function downloaded(url: string, signal: AbortSignal, redirects = 0): Promise<IncomingMessage> {
  const response = await asked(url, signal);
  const { statusCode: status = 0, headers } = response;
  if (status === 200) return response;
  response.destroy(); // it may have no end
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

async function* atMost(source: Readable, mostBytes: number, signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
  let bytes = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    bytes += chunk.length;
    if (bytes > mostBytes) throw new Error(`there are more than ${mostBytes} bytes`);
    yield chunk;
  }
}

import { once } from 'node:events';
import type { Socket } from 'node:net';

const headEnd = '\r\n\r\n';

/** The body of the next answer on a connection; undefined: what came is none, or more came than was announced. */
export async function readAnswer(client: Socket): Promise<string | undefined> {
  let received = Buffer.alloc(0);
  for (;;) {
    const end = received.indexOf(headEnd);
    if (end >= 0) {
      const head = received.toString('latin1', 0, end);
      const length = Number(/^content-length: *(\d+)$/im.exec(head)?.[1]);
      if (!head.startsWith('HTTP/1.1 200 ') || !Number.isInteger(length)) return undefined;
      const body = received.subarray(end + headEnd.length);
      if (body.length > length) return undefined;
      if (body.length === length) return body.toString();
    }
    received = Buffer.concat([received, await nextChunk(client)]);
  }
}

async function nextChunk(client: Socket): Promise<Buffer> {
  for (;;) {
    const chunk: Buffer | null = client.read();
    if (chunk !== null) return chunk;
    await once(client, 'readable');
  }
}

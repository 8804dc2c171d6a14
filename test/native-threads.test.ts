import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { connectUnix, receiveMessage, sendFile, sendMessage } from '../src/gate/unix-socket.js';
import { packageRoot } from '../src/package-root.js';

// What the addon does on threads beside the event loop's. npm run test:sanitize runs this under ThreadSanitizer too.

const partBytes = 300_000;
const readers = 24;

const { socketpair } = createRequire(import.meta.url)(join(packageRoot, 'build/Release/guests_client.node')) as {
  socketpair(): [number, number];
};

test('parts of a file go out on all threads at once', async (t) => {
  const { file, server } = await stage(t);
  const connections: Connection[] = [];
  while (connections.length < readers) connections.push(await connection(server));
  await Promise.all(
    connections.map(async (reached, number) => {
      const received = bytesOf(reached);
      await sent(reached, file, number);
      assert.ok((await received).equals(Buffer.alloc(partBytes, number)), `part ${number}`);
    }),
  );
});

test('what is sent to a descriptor that is closed meanwhile reaches nobody who has its number', async (t) => {
  const { file, server } = await stage(t);
  for (let round = 0; round < 20; round++) {
    const left = await connection(server);
    const sending = Promise.allSettled(Array.from({ length: 8 }, () => sendFile(left.fd, file, 0, partBytes)));
    left.writer.destroy();
    left.reader.destroy();
    const next = await connection(server);
    assert.equal(next.fd, left.fd);
    await sending;
    next.writer.destroy();
    assert.equal((await bytesOf(next)).length, 0);
  }
});

test('messages are received on all threads at once, each with the descriptors sent beside it', async () => {
  const before = openDescriptors();
  const pairs = Array.from({ length: 16 }, () => socketpair());
  const messages = pairs.map(([ours]) => receiveMessage(ours));
  const files = pairs.map((_, number) => openSync(number % 2 === 0 ? '/dev/null' : '/dev/zero', 'r'));
  for (const [number, [, theirs]] of pairs.entries()) sendMessage(theirs, `message ${number}`, [files[number] ?? -1]);
  for (const [number, message] of (await Promise.all(messages)).entries()) {
    assert.ok(message);
    const { text, descriptors } = message;
    assert.equal(text, `message ${number}`);
    assert.deepEqual(
      descriptors.map((fd) => fstatSync(fd).rdev),
      [fstatSync(files[number] ?? -1).rdev],
    );
    descriptors.forEach(closeSync);
  }
  [...pairs.flat(), ...files].forEach(closeSync);
  assert.equal(openDescriptors(), before);
});

async function stage(t: TestContext): Promise<{ file: number; server: Server }> {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-threads-'));
  const file = fileOfParts(join(directory, 'file'));
  const server = createServer({ pauseOnConnect: true }).listen(join(directory, 'sock'));
  t.after(() => {
    server.close();
    closeSync(file);
    rmSync(directory, { recursive: true });
  });
  await once(server, 'listening');
  return { file, server };
}

/** Each part is its number, again and again. */
function fileOfParts(path: string): number {
  writeFileSync(path, Buffer.concat(Array.from({ length: readers }, (_, number) => Buffer.alloc(partBytes, number))));
  return openSync(path, 'r');
}

interface Connection {
  readonly fd: number;
  readonly writer: Socket;
  readonly reader: Socket;
}

async function connection(server: Server): Promise<Connection> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const fd = connectUnix(server.address() as string) as number;
  const [reader] = await accepted;
  return { fd, writer: new Socket({ fd }), reader };
}

/** Resolves when the descriptor is closed as well: the next one gets its number. */
async function bytesOf({ reader }: Connection): Promise<Buffer> {
  const [bytes] = await Promise.all([buffer(reader), finished(reader)]);
  return bytes;
}

async function sent({ fd, writer }: Connection, file: number, number: number): Promise<void> {
  const end = (number + 1) * partBytes;
  for (let offset = number * partBytes; offset < end; await setImmediate()) {
    offset += await sendFile(fd, file, offset, end - offset);
  }
  writer.destroy();
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

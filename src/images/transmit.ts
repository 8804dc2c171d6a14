import type { FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { sendFile } from '../gate/unix-socket.js';
import type { Piece } from './pieces.js';

/** A connection that is no longer HTTP's; fd is what the socket reads and writes. */
export interface RawConnection {
  readonly socket: Socket;
  readonly fd: number;
}

/** What one reader gets before the next has its turn on a thread. */
const turnBytes = 8 * 1024 * 1024;
/** What is kept in memory for a reader that has stopped reading. */
const heldBytes = 16 * 1024;

/**
 * Writes pieces to a connection, as fast as its reader reads and no faster.
 * @throws Error, when the reader has gone or a file is shorter than it should be
 */
export async function transmit(
  connection: RawConnection,
  pieces: readonly Piece[],
  files: readonly FileHandle[],
): Promise<void> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) await written(connection.socket, piece);
    else await transmitFile(connection, files[piece.file] as FileHandle, piece.start, piece.end);
  }
}

async function transmitFile(
  { socket, fd }: RawConnection,
  file: FileHandle,
  start: number,
  end: number,
): Promise<void> {
  let offset = start;
  while (offset < end) {
    // The socket's descriptor is closed; its number may already belong to another guest's connection.
    if (socket.destroyed) throw new Error('the reader has gone');
    const turn = Math.min(end - offset, turnBytes);
    const sent = await sendFile(fd, file.fd, offset, turn);
    offset += sent;
    if (sent < turn) offset += await transmitNext(socket, file, offset, end);
  }
}

/** The next few bytes by way of the event loop, which waits for a slow reader at no cost. */
async function transmitNext(socket: Socket, file: FileHandle, offset: number, end: number): Promise<number> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(end - offset, heldBytes));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
  if (bytesRead === 0) throw new Error('the file is shorter than it was');
  await written(socket, buffer.subarray(0, bytesRead));
  return bytesRead;
}

function written(socket: Socket, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(data, (error) => (error ? reject(error) : resolve()));
  });
}

import type { Download } from '../../images/download.js';
import type { Images } from '../../images/image-library.js';
import { type RawConnection, transmit } from '../../images/transmit.js';
import type { Image } from '../../model/image.js';
import { errors } from '../guest-errors.js';
import type { GuestLog } from '../guest-log.js';
import { rawAnswer, rawReply } from '../guest-reply.js';

/** Answers with an image of ours. Never throws. */
export async function sendLocalImage(
  connection: RawConnection,
  images: Images,
  image: Image,
  { status, headers, pieces }: Download,
  log: GuestLog,
): Promise<void> {
  const { socket } = connection;
  const head = rawAnswer(status, headers);
  try {
    const { files, release } = await images.open(image);
    await transmit(connection, [head, ...pieces], files).finally(release);
  } catch (error) {
    if (socket.destroyed || isReaders(error)) return;
    log.error({ err: error, fingerprint: image.fingerprint }, 'image export failed');
    // When the answer has begun, only a connection that ends too early can say so.
    if (socket.bytesWritten === 0) socket.write(rawReply(errors.imageUnreadable));
  }
}

/** What a write to a connection says whose reader has gone; Node may not have seen yet that it has. */
const readersCodes = ['EPIPE', 'ECONNRESET', 'ENOTCONN'];

function isReaders(error: unknown): boolean {
  return error instanceof Error && 'code' in error && readersCodes.includes(String(error.code));
}

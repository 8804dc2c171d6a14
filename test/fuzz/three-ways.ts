import type { Socket } from 'node:net';
import { firsts } from '../support/request-kinds.js';
import { Conversation, excerpt, type Piece } from './conversation.js';
import { type ModelGuest, predict } from './model.js';
import type { Random } from './random.js';
import { cut } from './streams.js';

/** A client may send that much ahead of the answers; the ways below put other requests before a stream. */
const mostBytes = 48 * 1024;

const before = Object.values(firsts).map(([request]) => Buffer.from(request));

/** The same request on a fresh connection, on one that is kept after each kind of request, in pieces and pipelines. */
export function ways(guest: ModelGuest, random: Random, stream: Buffer): Readonly<Record<string, readonly Piece[]>> {
  const first = random.pick(before);
  const pipeline = [stream];
  while (random.percent(40)) pipeline.unshift(random.pick(before));
  return {
    fresh: [{ bytes: stream }],
    kept: [{ bytes: first }, { bytes: stream, after: predict(guest, first).answers.length }],
    'in pieces': cut(random, Buffer.concat(pipeline)).map((bytes) => ({ bytes })),
  };
}

/** Every one must be answered as the model says. @returns what is wrong, in a sentence */
export async function threeWays(
  guest: ModelGuest,
  connect: () => Socket,
  stream: Buffer,
  random: Random,
): Promise<string | undefined> {
  if (stream.length > mostBytes) return undefined;
  const played = Object.entries(ways(guest, random, stream)).map(async ([way, pieces]) => {
    const wrong = await new Conversation(guest, connect()).hold(pieces);
    const sent = pieces.map(
      ({ bytes, after }) => `${after === undefined ? '' : `after ${after}: `}${excerpt(bytes.toString('latin1'))}`,
    );
    return wrong && `${way}: ${wrong}; sent ${sent.join(', ')}`;
  });
  return (await Promise.all(played)).find((wrong) => wrong !== undefined);
}

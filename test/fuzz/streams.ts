import type { Random } from './random.js';
import { request } from './requests.js';

/** What one connection sends, and how it ends. */
export interface Stream {
  readonly pieces: readonly Buffer[];
  /** says goodbye and reads on; is gone at once; stays, saying nothing more */
  readonly end: 'goodbye' | 'gone' | 'stays';
}

const tokens = ['\r\n', '\n', '\r\n\r\n', ' ', '\0', '%', ':', ' HTTP/1.1', 'GET /1.0 HTTP/1.1\r\nHost: x\r\n\r\n'];

/** image: fingerprint of one that guests may export */
export function stream(random: Random, image: string): Stream {
  const parts = random.percent(5) ? [random.bytes(random.below(600))] : [request(random, image)];
  while (random.percent(25)) parts.push(random.percent(50) ? (parts[0] as Buffer) : request(random, image));
  const bytes = random.percent(50) ? mutated(random, Buffer.concat(parts)) : Buffer.concat(parts);
  return { pieces: cut(random, bytes), end: random.percent(80) ? 'goodbye' : random.percent(70) ? 'gone' : 'stays' };
}

function mutated(random: Random, bytes: Buffer): Buffer {
  let result = bytes;
  do {
    const at = random.below(result.length + 1);
    const [before, after] = [result.subarray(0, at), result.subarray(at)];
    const other = random.below(result.length + 1);
    const slice = result.subarray(Math.min(at, other), Math.max(at, other));
    const mutations = [
      () => Buffer.concat([before, Buffer.from([(after[0] ?? 0) ^ (1 << random.below(8))]), after.subarray(1)]),
      () => before,
      () => Buffer.concat([before, Buffer.from(random.pick(tokens)), after]),
      () => Buffer.concat([before, slice.subarray(0, 500), after]),
      () => Buffer.concat([before, after.subarray(random.below(20))]),
      () => Buffer.concat([before, random.bytes(random.below(8)), after]),
    ];
    result = random.pick(mutations)();
  } while (random.percent(40));
  return result;
}

/** In random pieces, one behind the other. */
export function cut(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  let rest = bytes;
  while (rest.length > 1 && random.percent(25)) {
    const at = 1 + random.below(rest.length - 1);
    pieces.push(rest.subarray(0, at));
    rest = rest.subarray(at);
  }
  return [...pieces, rest];
}

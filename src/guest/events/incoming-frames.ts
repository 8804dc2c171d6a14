import { exceeds, type Limits } from '../../limits/limits.js';

const windowMilliseconds = 1000;
/** of a frame, before its payload; the most that a server sends */
const headerBytes = 4;

export type FrameLimit = 'websocket-frames' | 'pong-backlog';

/** What a listener sends on its WebSocket. It has nothing to say, but the protocol lets it send pings and pongs. */
export class IncomingFrames {
  readonly #limits: Limits;
  #windowEnds = 0;
  #frames = 0;
  #unreadPongs = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Counts a frame. Returns the limit that is exceeded, if one is. */
  add(now: number): FrameLimit | undefined {
    if (now >= this.#windowEnds) {
      this.#windowEnds = now + windowMilliseconds;
      this.#frames = 0;
    }
    this.#frames++;
    return exceeds(this.#limits['websocket-frames'], this.#frames) ? 'websocket-frames' : undefined;
  }

  /** Counts a ping, whose pong waits in memory when the listener does not read. unread: bytes that wait, with this pong */
  addPing(payload: number, unread: number, now: number): FrameLimit | undefined {
    this.#unreadPongs = unread === 0 ? 0 : this.#unreadPongs + headerBytes + payload;
    if (exceeds(this.#limits['pong-backlog'], this.#unreadPongs)) return 'pong-backlog';
    return this.add(now);
  }
}

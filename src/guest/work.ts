/** What work costs besides the request itself, in requests that cost as much; docs/limits.md says the same. */
export const tokens = {
  /** a change of the guest's state, which the store may have to make durable */
  stateChange: 10,
  /** an identity document, which is signed */
  signature: 5,
  /** a listener that begins */
  listener: 5,
  /** a frame on a WebSocket */
  frame: 0.25,
} as const;

const bytesPerToken = 16 * 1024;

/** A response up to this costs nothing besides its request. */
const freeBytes = 16 * 1024;

/** length: characters or bytes of a response */
export function tokensOfResponse(length: number): number {
  return length <= freeBytes ? 0 : length / bytesPerToken;
}

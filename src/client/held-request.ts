import type { ClientRequest } from 'node:http';
import { type Answer, readAnswer } from './answer.js';

/** Bytes that are held back: without the end of its last line nobody could take what has come for all of it. */
const heldBytes = 2;

/**
 * A request that is sent but for its end: the other side has read it when it is released, and does nothing before. It
 * must be released or abandoned.
 */
export class HeldRequest {
  readonly #sent: ClientRequest;
  /** may come before it is released: what is refused is not read to its end */
  readonly #answer: Promise<Answer>;
  readonly #end: Uint8Array;
  #isLost = false;

  /** sent: with the length of the body in its head */
  constructor(sent: ClientRequest, body: Uint8Array) {
    this.#sent = sent;
    this.#answer = new Promise((resolve, reject) => {
      sent.on('response', (response) => readAnswer(response).then(resolve, reject));
      sent.on('error', reject);
    });
    this.#answer.catch(() => {
      this.#isLost = true; // said when it is released
    });
    const held = Math.min(heldBytes, body.length);
    this.#end = body.subarray(body.length - held);
    sent.write(body.subarray(0, body.length - held));
  }

  /** There will be no answer. */
  get isLost(): boolean {
    return this.#isLost;
  }

  async release(): Promise<Answer> {
    this.#sent.end(this.#end);
    return await this.#answer.finally(() => this.#sent.destroy());
  }

  abandon(): void {
    this.#sent.destroy();
  }
}

import type { Operation } from '../api/types.js';
import type { Connection } from './connection.js';
import type { HeldRequest } from './held-request.js';
import { envelopeOf, linesType } from './requests.js';

/**
 * A batch of which the daemon has all but the end: nothing of it is done, whatever becomes of this process, until it is
 * committed. It must be committed or discarded.
 */
export class StagedBatch {
  readonly #hold: () => HeldRequest;
  readonly #connection: Connection;
  #held: HeldRequest;

  constructor(connection: Connection, path: string, body: Uint8Array) {
    const headers = { 'content-type': linesType };
    this.#connection = connection;
    this.#hold = () => connection.hold({ method: 'POST', path, headers }, body);
    this.#held = this.#hold();
  }

  /**
   * Has it done.
   * @returns its operation, as it began
   * @throws ApiError, ConnectionError
   */
  async commit(): Promise<Operation> {
    if (this.#held.isLost) this.#held = this.#hold(); // the end has not been sent, so that nothing can have been done
    return envelopeOf<Operation>(await this.#connection.release(this.#held)).metadata;
  }

  discard(): void {
    this.#held.abandon();
  }
}

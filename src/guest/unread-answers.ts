import type { KeptText } from '../gate/send-text.js';
import type { MemoryShares, MemoryUser } from './memory-shares.js';

/** The bytes of one long answer, and the connections whose guests are still reading it. */
class UnreadAnswer implements MemoryUser {
  readonly instanceId: number;
  readonly bytes: Buffer;
  readonly readers = new Set<() => void>();
  held = 0;

  constructor(instanceId: number, bytes: Buffer) {
    this.instanceId = instanceId;
    this.bytes = bytes;
  }

  cut(): void {
    for (const close of [...this.readers]) close();
  }
}

/**
 * Answers that the kernel has not taken whole, while their guests read them: one copy of each for all readers of an
 * instance. A guest may leave as many answers unread as it has connections.
 */
export class UnreadAnswers {
  readonly #shares: MemoryShares;
  readonly #byInstance = new Map<number, Map<string, UnreadAnswer>>();

  constructor(shares: MemoryShares) {
    this.#shares = shares;
  }

  /** For one more reader, until `free`. close: ends the reader's connection */
  keep(instanceId: number, text: string, close: () => void): KeptText {
    const answers = this.#byInstance.get(instanceId) ?? new Map<string, UnreadAnswer>();
    this.#byInstance.set(instanceId, answers);
    const answer = answers.get(text) ?? this.#begin(answers, instanceId, text);
    answer.readers.add(close);
    const free = (): void => {
      if (!answer.readers.delete(close) || answer.readers.size > 0) return;
      this.#shares.end(answer);
      if (answers.get(text) === answer) answers.delete(text);
      if (answers.size === 0 && this.#byInstance.get(instanceId) === answers) this.#byInstance.delete(instanceId);
    };
    return { bytes: answer.bytes, free };
  }

  #begin(answers: Map<string, UnreadAnswer>, instanceId: number, text: string): UnreadAnswer {
    const answer = new UnreadAnswer(instanceId, Buffer.from(text));
    answers.set(text, answer);
    this.#shares.begin(answer);
    this.#shares.charge(answer, answer.bytes.length);
    answer.held = answer.bytes.length;
    return answer;
  }
}

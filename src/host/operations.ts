import { randomUUID } from 'node:crypto';
import { Fault } from '../errors.js';

/** How long a finished operation can still be asked for. */
const keptMilliseconds = 60_000;

type Outcome = { readonly status: 'Running' | 'Success' } | { readonly status: 'Failure'; readonly error: unknown };

const statusCodes = { Running: 103, Success: 200, Failure: 400 } as const;

/** A change that is being made: LXD's clients ask for it by its id. */
export class Operation {
  readonly id = randomUUID();
  /** settles, without ever throwing, when the work has ended */
  readonly finished: Promise<void>;
  readonly #createdAt = new Date().toISOString();
  readonly #description: string;
  readonly #instances: readonly string[];
  readonly #metadata: object | null;
  #outcome: Outcome = { status: 'Running' };

  constructor(description: string, instances: readonly string[], work: Promise<unknown>, metadata: object | null) {
    this.#metadata = metadata;
    this.#description = description;
    this.#instances = instances;
    this.finished = work.then(
      () => {
        this.#outcome = { status: 'Success' };
      },
      (error: unknown) => {
        this.#outcome = { status: 'Failure', error };
      },
    );
  }

  get status(): Outcome['status'] {
    return this.#outcome.status;
  }

  /** As LXD's API describes an operation (api.Operation). */
  render(): object {
    const outcome = this.#outcome;
    const fault = outcome.status === 'Failure' ? outcome.error : undefined;
    return {
      id: this.id,
      class: 'task',
      description: this.#description,
      created_at: this.#createdAt,
      updated_at: new Date().toISOString(),
      status: outcome.status,
      status_code: statusCodes[outcome.status],
      resources: { instances: this.#instances.map((name) => `/1.0/instances/${name}`) },
      metadata: this.#metadata,
      may_cancel: false,
      err: fault instanceof Error ? fault.message : '',
      location: 'none',
    };
  }
}

/** The operations that run, and those that ended a moment ago. */
export class Operations {
  readonly #operations = new Map<string, Operation>();

  /** metadata: what the operation says of itself from the start */
  start(
    description: string,
    instances: readonly string[],
    work: Promise<unknown>,
    metadata: object | null = null,
  ): Operation {
    const operation = new Operation(description, instances, work, metadata);
    this.#operations.set(operation.id, operation);
    operation.finished.then(() => {
      setTimeout(() => this.#operations.delete(operation.id), keptMilliseconds).unref();
    });
    return operation;
  }

  /** @throws Fault not-found */
  need(id: string): Operation {
    const operation = this.#operations.get(id);
    if (operation === undefined) throw new Fault('not-found', 'Operation not found');
    return operation;
  }

  list(): Operation[] {
    return [...this.#operations.values()];
  }
}

import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type * as Shown from '../api/types.js';
import { Fault } from '../errors.js';
import { instanceUrl } from './render.js';

/** How long a finished operation can still be asked for. */
const keptMilliseconds = 60_000;

type Outcome = { readonly status: 'Running' | 'Success' } | { readonly status: 'Failure'; readonly error: unknown };

const statusCodes = { Running: 103, Success: 200, Failure: 400 } as const;

/** An instance that an operation is about. */
export interface Concerned {
  readonly name: string;
  readonly project: string;
}

/** Work that says now and then how far it has come. */
export type Work = (report: Report) => Promise<unknown>;

export type Report = (metadata: NonNullable<Metadata>) => void;

type Metadata = Shown.Operation['metadata'];

/** A change that is being made: LXD's clients ask for it by its id. */
export class Operation {
  readonly id = randomUUID();
  /** settles, without ever throwing, when the work has ended */
  readonly finished: Promise<void>;
  readonly #createdAt = new Date().toISOString();
  readonly #description: string;
  readonly #instances: readonly Concerned[];
  #updatedAt = this.#createdAt;
  #metadata: Metadata;
  #outcome: Outcome = { status: 'Running' };

  /** changed: called when it has come further, and when it has ended */
  constructor(
    description: string,
    instances: readonly Concerned[],
    work: Promise<unknown> | Work,
    metadata: Metadata,
    changed: (operation: Operation) => void,
  ) {
    this.#description = description;
    this.#instances = instances;
    this.#metadata = metadata;
    const report = (made: Metadata): void => {
      this.#metadata = made;
      this.#updated(changed);
    };
    const end = (outcome: Outcome): void => {
      this.#outcome = outcome;
      this.#updated(changed);
    };
    this.finished = (typeof work === 'function' ? work(report) : work).then(
      () => end({ status: 'Success' }),
      (error: unknown) => end({ status: 'Failure', error }),
    );
  }

  get status(): Outcome['status'] {
    return this.#outcome.status;
  }

  /** why it has failed, if it has */
  get error(): unknown {
    return this.#outcome.status === 'Failure' ? this.#outcome.error : undefined;
  }

  /** undefined: it is about no single one */
  get project(): string | undefined {
    return this.#instances[0]?.project;
  }

  /** As LXD's API describes an operation (api.Operation). */
  render(): Shown.Operation {
    const outcome = this.#outcome;
    const fault = this.error;
    return {
      id: this.id,
      class: 'task',
      description: this.#description,
      created_at: this.#createdAt,
      updated_at: this.#updatedAt,
      status: outcome.status,
      status_code: statusCodes[outcome.status],
      resources: { instances: this.#instances.map(({ name, project }) => instanceUrl(name, project)) },
      metadata: this.#metadata,
      may_cancel: false,
      err: fault instanceof Error ? fault.message : '',
      location: 'none',
    };
  }

  #updated(changed: (operation: Operation) => void): void {
    this.#updatedAt = new Date().toISOString();
    changed(this);
  }
}

interface Events {
  /** it has begun, has come further, or has ended */
  changed: [Operation];
}

/** The operations that run, or ended a moment ago. */
export class Operations extends EventEmitter<Events> {
  readonly #operations = new Map<string, Operation>();

  /** metadata: what the operation says of itself from the start */
  start(
    description: string,
    instances: readonly Concerned[],
    work: Promise<unknown> | Work,
    metadata: Metadata = null,
  ): Operation {
    const tell = (changed: Operation) => this.emit('changed', changed);
    const operation = new Operation(description, instances, work, metadata, tell);
    this.#operations.set(operation.id, operation);
    tell(operation);
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

import { invalid } from '../errors.js';
import type { Requestor, Written } from '../model/changes.js';
import { EventClock } from '../model/guest-events.js';
import { type Lifecycle, lifecycleOf } from './lifecycle.js';
import type { Operation } from './operations.js';

const eventTypes = ['lifecycle', 'operation', 'logging'] as const;
export type ControlEventType = (typeof eventTypes)[number];

/** What a listener wants to hear of. */
export interface Interest {
  readonly types: ReadonlySet<string>;
  /** undefined: of all */
  readonly project: string | undefined;
}

/** A client that follows the events of the host. */
export interface HostListener {
  readonly interest: Interest;
  /** Sends, or queues up to its backlog limit; beyond it the listener ends itself. */
  send(text: string): void;
  end(code: number, reason: string): void;
}

/**
 * The events of the host, in LXD's shape (doc/events.md), to all listeners, in the order in which they
 * happened: lifecycle events in that of the durable writes.
 */
export class ControlEvents {
  readonly #listeners = new Set<HostListener>();
  readonly #clock = new EventClock();

  get size(): number {
    return this.#listeners.size;
  }

  /** Returns how to leave. */
  add(listener: HostListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  written(change: Written, requestor: Requestor | undefined): void {
    if (this.#listeners.size === 0) return;
    for (const happening of lifecycleOf(change)) this.lifecycle(happening, requestor);
  }

  lifecycle({ project, action, source, context }: Lifecycle, requestor: Requestor | undefined): void {
    this.#send('lifecycle', project, () => ({ action, source, context, requestor }));
  }

  operation(operation: Operation): void {
    this.#send('operation', operation.project, () => operation.render());
  }

  /** line: as it is written to the log, JSON */
  logging(line: string): void {
    this.#send('logging', undefined, () => {
      const { level, time, msg, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>;
      const context = Object.entries(fields).map(([name, value]) => [name, textOf(value)]);
      return { message: textOf(msg), level: levels[String(level)] ?? 'info', context: Object.fromEntries(context) };
    });
  }

  /** Ends everyone. */
  stop(): void {
    for (const listener of [...this.#listeners]) listener.end(1012, 'devlxd stops');
  }

  /** project undefined: for the listeners of all projects */
  #send(type: ControlEventType, project: string | undefined, metadata: () => object): void {
    const interested = [...this.#listeners].filter(({ interest }) => {
      const near = project === undefined || interest.project === undefined || interest.project === project;
      return near && interest.types.has(type);
    });
    if (interested.length === 0) return;
    const event = { type, timestamp: this.#clock.next(), metadata: metadata(), location: 'none', project };
    const text = JSON.stringify(event);
    for (const listener of interested) listener.send(text);
  }
}

// pino's levels, in logrus's words, which LXD's clients know.
const levels: Readonly<Record<string, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warning',
  50: 'error',
  60: 'fatal',
};

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/**
 * ?type=lifecycle,operation,logging (all when none is named).
 * @throws Fault invalid-value
 */
export function typesOf(query: URLSearchParams): ReadonlySet<string> {
  const named = (query.get('type') ?? '').split(',').filter((type) => type !== '');
  for (const type of named) {
    if (!(eventTypes as readonly string[]).includes(type))
      throw invalid('type', `"${type}" isn't a supported event type`);
  }
  return new Set(named.length === 0 ? eventTypes : named);
}

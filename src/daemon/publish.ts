import type { GuestDispatcher } from '../guest/dispatcher.js';
import type { Listeners } from '../guest/events/listeners.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { LimitHits } from '../limits/limit-hits.js';
import type { Log } from '../log.js';
import type { WrittenChange } from '../model/changes.js';

interface Parts {
  readonly running: RunningInstances;
  readonly listeners: Listeners;
  readonly dispatcher: GuestDispatcher;
  readonly limitHits: LimitHits;
}

/**
 * What follows from a commit, in this order: requests are answered by the new versions, so that a guest that reads
 * because of an event reads what the event says; listeners hear of it; instances that do not run any more lose their
 * connections, after they have heard; what is kept for instances that are deleted goes. Operators hear of it last
 * (the registry's `written`).
 * @param changes of instances, in the order of the commit
 */
export function publish(changes: readonly WrittenChange[], parts: Parts, log: Log): void {
  const steps = {
    answers: () => parts.running.changed(changes),
    events: () => parts.listeners.deliver(changes),
    stops: () => parts.running.ended(changes),
    requests: () => parts.dispatcher.forget(changes),
    limits: () => parts.limitHits.deliver(changes),
  };
  for (const [step, take] of Object.entries(steps)) {
    try {
      take();
    } catch (error) {
      // The commit is durable: its transactions are answered, and the other steps are taken.
      log.error({ err: error, step }, 'a change could not be published');
    }
  }
}

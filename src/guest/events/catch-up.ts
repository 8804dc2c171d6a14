import type { Registry } from '../../instances/registry.js';
import type { EventType, GuestEvent } from '../../model/guest-events.js';
import { CatchingUp, type Listeners } from './listeners.js';

/** What a listener that has come back asks for. */
export interface Missed {
  readonly instanceId: number;
  readonly types: ReadonlySet<EventType>;
  /** a timestamp */
  readonly since: string;
  readonly mostBytes: number;
}

/**
 * Reads the events after a timestamp. What is written while the store reads is heard as well: whether the store has
 * read it or not, the listener gets it once.
 * @param begin called with the events, each once, in order; undefined: they are no longer all stored. ended: the
 *   instance's streams were ended meanwhile. It adds the listener at once, so that nothing is delivered in between.
 */
export async function catchUp(
  registry: Pick<Registry, 'eventsAfter'>,
  listeners: Listeners,
  { instanceId, types, since, mostBytes }: Missed,
  begin: (missed: readonly GuestEvent[] | undefined, ended: boolean) => void,
): Promise<void> {
  const meanwhile = new CatchingUp(types);
  listeners.add(instanceId, meanwhile);
  let stored: readonly GuestEvent[] | undefined;
  try {
    stored = await registry.eventsAfter(instanceId, since, mostBytes);
  } finally {
    listeners.remove(instanceId, meanwhile);
  }
  begin(stored && meanwhile.after(stored), meanwhile.ended);
}

import { exceeds } from '../limits/limits.js';
import { keptEvents } from './schema.js';
import type { Database } from './sqlite.js';

/** The type of an entry that is no event: up to it not all events were kept. */
export const gap = 'gap';

export type EventRow = [timestamp: string, type: string, text: string];

export interface EventsRequest {
  readonly kind: 'events';
  readonly instanceId: number;
  /** only events after this one */
  readonly timestamp: string;
  /** 0: any length */
  readonly mostBytes: number;
}

/** Looks at how much it would be before any of it is read: a guest may ask as often as it likes. */
export function eventsIn(opened: Database): (request: EventsRequest) => { readonly events?: EventRow[] } {
  const kept = opened.prepare(
    `SELECT count(*), min(timestamp), sum(octet_length(text)) FILTER (WHERE timestamp > ?),
       max(timestamp) FILTER (WHERE type = '${gap}')
     FROM events WHERE instance_id = ?`,
  );
  const after = opened.prepare(
    `SELECT timestamp, type, text FROM events WHERE instance_id = ? AND timestamp > ? AND type != '${gap}'
     ORDER BY timestamp`,
  );
  return ({ instanceId, timestamp, mostBytes }) => {
    const [count, oldest, bytes, missing] = kept.get(timestamp, instanceId) as [
      number,
      string | null,
      number | null,
      string | null,
    ];
    if (missing !== null && timestamp < missing) return {};
    if (count >= keptEvents && oldest !== null && timestamp < oldest) return {};
    if (exceeds(mostBytes, bytes ?? 0)) return {};
    return { events: after.all(instanceId, timestamp) as unknown as EventRow[] };
  };
}

import type { Database } from './sqlite.js';

/** Some instances, as rows. */
export interface InstanceRows {
  readonly instances: [
    id: number,
    project: string,
    name: string,
    description: string,
    createdAt: string,
    profiles: string,
    guestState: string,
    pid: number | null,
    startTicks: number | null,
    bootId: string | null,
    source: string,
    type: string,
    cid: number | null,
    seed: string,
  ][];
  readonly keys: [id: number, key: string, value: string][];
  readonly devices: [id: number, name: string, options: string][];
}

/** The same as one text, which costs less than to clone it. */
export interface InstancesText {
  /** the last id; left out: there are no more */
  readonly last: number | undefined;
  /** JSON of InstanceRows */
  readonly rows: string;
}

/** So many at a time that neither thread ever holds more than these twice. */
const instancesAtOnce = 500;

/** Reads instances by id, some after those up to this one; none: there are no more. */
export function instancesIn(opened: Database): (after: number) => InstancesText {
  const columns = `id, project, name, description, created_at, profiles, guest_state, pid, start_ticks, boot_id, source,
    type, cid, seed`;
  const next = opened.prepare(`SELECT ${columns} FROM instances WHERE id > ? ORDER BY id LIMIT ${instancesAtOnce}`);
  const keys = opened.prepare('SELECT instance_id, key, value FROM config WHERE instance_id > ? AND instance_id <= ?');
  const devices = opened.prepare(
    'SELECT instance_id, name, options FROM devices WHERE instance_id > ? AND instance_id <= ?',
  );
  return (after) => {
    const instances = next.all(after) as unknown as InstanceRows['instances'];
    const last = instances.at(-1)?.[0];
    const rows: InstanceRows = {
      instances,
      keys: keys.all(after, last ?? after) as unknown as InstanceRows['keys'],
      devices: devices.all(after, last ?? after) as unknown as InstanceRows['devices'],
    };
    return { last, rows: JSON.stringify(rows) };
  };
}

import { type Change, differenceOf, sameDevice } from './changes.js';
import {
  byName,
  type Config,
  type Device,
  type Devices,
  expandedConfig,
  expandedDevices,
  sortedObject,
} from './instance.js';

export type EventType = 'config' | 'device';

/** What a guest hears of: one message, ready to be sent. */
export interface GuestEvent {
  readonly type: EventType;
  readonly timestamp: string;
  /** the JSON document, without a newline */
  readonly text: string;
}

interface Happening {
  readonly type: EventType;
  /** JSON */
  readonly metadata: string;
}

const none: readonly GuestEvent[] = [];

const guestVisible = 'user.';

/**
 * The events of one change, in the order in which the guest gets them: keys by name, then devices removed, updated
 * and added, each by name. A device that is changed is removed and added, as LXD and Incus tell it: guests unmount and
 * mount by that.
 */
export function eventsOf({ before, after }: Change, clock: EventClock): readonly GuestEvent[] {
  if (before === undefined || after === undefined) return none;
  const happenings = configEvents(expandedConfig(before), expandedConfig(after));
  const [devices, others] = [expandedDevices(before), expandedDevices(after)];
  if (devices !== others && devices.size + others.size > 0) happenings.push(...deviceEvents(devices, others));
  if (happenings.length === 0) return none;
  return happenings.map(({ type, metadata }) => {
    const timestamp = clock.next();
    return { type, timestamp, text: `{"type":"${type}","timestamp":"${timestamp}","metadata":${metadata}}` };
  });
}

function configEvents(before: Config, after: Config): Happening[] {
  const changed: [key: string, value: string][] = [];
  for (const key of after.keys()) {
    const value = after.get(key) ?? '';
    if (key.startsWith(guestVisible) && value !== (before.get(key) ?? '')) changed.push([key, value]);
  }
  for (const key of before.keys())
    if (key.startsWith(guestVisible) && !after.has(key) && before.get(key) !== '') changed.push([key, '']);
  if (changed.length > 1) changed.sort(byName);
  return changed.map(([key, value]) => ({
    type: 'config',
    metadata: `{"key":${JSON.stringify(key)},"old_value":${JSON.stringify(before.get(key) ?? '')},"value":${JSON.stringify(value)}}`,
  }));
}

/** Options that LXD changes while the device stays where it is; every other change takes it away and brings it back. */
const liveOption = /^(?:size(?:\..+)?|limits\..+)$/;

function deviceEvents(before: Devices, after: Devices): Happening[] {
  const { set, removed } = differenceOf(before, after, sameDevice);
  const updated = set.filter(([name, device]) => changesLive(before.get(name), device));
  const added = set.filter((entry) => !updated.includes(entry));
  const gone = [...removed, ...added.map(([name]) => name)].flatMap((name) => {
    const device = before.get(name);
    return device === undefined ? [] : [[name, device] as const];
  });
  return [
    ...gone.sort(byName).map(deviceEvent('removed')),
    ...updated.sort(byName).map(deviceEvent('updated')),
    ...added.sort(byName).map(deviceEvent('added')),
  ];
}

function changesLive(before: Device | undefined, after: Device): boolean {
  if (before === undefined) return false;
  const { set, removed } = differenceOf(before, after);
  return [...set.map(([option]) => option), ...removed].every((option) => liveOption.test(option));
}

function deviceEvent(action: string): (entry: readonly [string, Device]) => Happening {
  return ([name, device]) => ({
    type: 'device',
    metadata: JSON.stringify({ action, config: sortedObject(device), name }),
  });
}

/** The timestamps of EventClock, and no others. */
export const timestampPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;

/** The last of several timestamps, of which '' is none: they have all the same length. */
export function lastOf(timestamps: readonly string[]): string | undefined {
  return timestamps.reduce((last, each) => (each > last ? each : last), '') || undefined;
}

/** Wall-clock time in nanoseconds that never stands still or goes back: each event gets a later one. */
export class EventClock {
  #last = 0n;
  /** of the last timestamp, and its text */
  #second = -1n;
  #secondText = '';
  readonly #now: () => bigint;

  /** now: nanoseconds since 1970 */
  constructor(now: () => bigint = wallClock) {
    this.#now = now;
  }

  /** Every later timestamp is after this one: the last of an earlier run. */
  startAfter(timestamp: string): void {
    const milliseconds = BigInt(Date.parse(`${timestamp.slice(0, 19)}Z`));
    const nanoseconds = milliseconds * 1_000_000n + BigInt(timestamp.slice(20, 29));
    if (nanoseconds > this.#last) this.#last = nanoseconds;
  }

  /** RFC 3339 with nanoseconds, in UTC. */
  next(): string {
    const now = this.#now();
    this.#last = now > this.#last ? now : this.#last + 1n;
    const seconds = this.#last / 1_000_000_000n;
    if (seconds !== this.#second) {
      this.#second = seconds;
      this.#secondText = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
    }
    const fraction = String(Number(this.#last - seconds * 1_000_000_000n)).padStart(9, '0');
    return `${this.#secondText}.${fraction}Z`;
  }
}

// Date.now() has milliseconds; the time within the process adds what is below.
const origin = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

function wallClock(): bigint {
  const precise = origin + process.hrtime.bigint();
  const coarse = BigInt(Date.now()) * 1_000_000n;
  const drift = precise - coarse;
  // After a step of the system clock, or a suspend, the coarse clock is the right one.
  return drift > -2_000_000n && drift < 2_000_000n ? precise : coarse;
}

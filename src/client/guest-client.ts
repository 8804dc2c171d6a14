import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Devices } from '../api/types.js';
import type { Answer } from './answer.js';
import { ApiError } from './client-errors.js';
import { type Connect, Connection } from './connection.js';
import { follow } from './follow.js';
import { pathOf } from './requests.js';

export interface GuestOptions {
  /** /dev/lxd/sock */
  readonly socketPath?: string;
  /** to reach it another way */
  readonly connect?: Connect;
}

/** GET /1.0 */
export interface GuestInfo {
  readonly state: GuestState;
  readonly api_version: string;
  readonly instance_type: string;
  /** name of the host */
  readonly location: string;
}

export type GuestState = 'Started' | 'Ready';

/** A key of the configuration has changed: '' stands for unset. */
export interface ConfigEvent {
  readonly type: 'config';
  readonly timestamp: string;
  readonly metadata: { readonly key: string; readonly old_value: string; readonly value: string };
}

export interface DeviceEvent {
  readonly type: 'device';
  readonly timestamp: string;
  readonly metadata: {
    readonly action: 'added' | 'updated' | 'removed';
    readonly name: string;
    readonly config: Readonly<Record<string, string>>;
  };
}

export type GuestEvent = ConfigEvent | DeviceEvent;

export interface GuestEventsOptions {
  /** all, when left out */
  readonly types?: readonly GuestEvent['type'][];
  /** the timestamp of the last event that was seen: what came after it is heard first */
  readonly since?: string;
  /** ends the iteration, quietly */
  readonly signal?: AbortSignal;
}

const notFound = 404;

/**
 * A guest's view of itself, on /dev/lxd/sock; LXD's own socket is served as well, but replays no events. Everything
 * fails with ApiError, whose message is the server's sentence (docs/errors.md), or with ConnectionError.
 */
export class GuestClient {
  readonly #connection: Connection;

  constructor({ socketPath = '/dev/lxd/sock', connect }: GuestOptions = {}) {
    this.#connection = new Connection(socketPath, connect);
  }

  async info(): Promise<GuestInfo> {
    return JSON.parse((await this.#ask('/1.0')).text);
  }

  /** Tells the host how far the instance is. */
  async setState(state: GuestState): Promise<void> {
    await this.#ask('/1.0', 'PATCH', JSON.stringify({ state }));
  }

  /** The keys that are set and may be read, sorted: user.* and cloud-init.* */
  async keys(): Promise<string[]> {
    const paths = JSON.parse((await this.#ask('/1.0/config')).text) as string[];
    return paths.map((path) => path.slice('/1.0/config/'.length));
  }

  /** A value; undefined: not set. @throws ApiError 403, for a key that guests may not read */
  async config(key: string): Promise<string | undefined> {
    try {
      return (await this.#ask(`/1.0/config/${encodeURIComponent(key)}`)).text;
    } catch (error) {
      if (error instanceof ApiError && error.status === notFound) return undefined;
      throw error;
    }
  }

  /** What cloud-init reads: YAML with instance-id, local-hostname, and user.meta-data as it is. */
  async metaData(): Promise<string> {
    return (await this.#ask('/1.0/meta-data')).text;
  }

  async devices(): Promise<Devices> {
    return JSON.parse((await this.#ask('/1.0/devices')).text);
  }

  /**
   * A signed document that proves to another service which instance this is (a JWT, docs/identity.md). audience: the
   * service; nonce: comes back in the document, which ties it to one exchange
   * @throws ApiError 403, when the host has switched it off
   */
  async identity({ audience, nonce }: { readonly audience: string; readonly nonce?: string }): Promise<string> {
    return (await this.#ask(pathOf('identity', undefined, { audience, nonce }))).text;
  }

  /**
   * An image, by its full fingerprint: the file, or both files of a split one as a form. It must be read, or be
   * destroyed. from: bytes that are there already. @throws ApiError 403, 404
   */
  async exportImage(fingerprint: string, from = 0): Promise<IncomingMessage> {
    const path = `/1.0/images/${fingerprint}/export`;
    const headers: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` };
    const response = await this.#connection.stream({ method: 'GET', path, headers, alone: true });
    const status = response.statusCode ?? 0;
    if (status < 400) return response;
    throw new ApiError(status, (JSON.parse(await text(response)) as { error: string }).error);
  }

  /**
   * What changes, in order. After a lost connection the client reconnects, and what was missed is replayed: each event is
   * heard exactly once, also over a restart of the daemon.
   * @throws ApiError 410, when more was missed than the host keeps (256 events): read everything again, then listen
   * again; 403, when the host has switched the API off. ConnectionError, when there is no socket at the start
   */
  events({ types, since, signal }: GuestEventsOptions = {}): AsyncGenerator<GuestEvent, void, void> {
    // Host and guest have the same clock. What comes after this moment is missed when the connection is lost before
    // the first event.
    let began = since;
    const connect = (last: GuestEvent | undefined) => {
      const from = last?.timestamp ?? began;
      began ??= now();
      return this.#connection.webSocket(pathOf('events', undefined, { type: types?.join(','), since: from }));
    };
    return follow<GuestEvent>({ socketPath: this.#connection.path, signal, connect, reconnected: () => [] });
  }

  /** Closes the kept connection; events end by their signal, or with their iteration. */
  async close(): Promise<void> {
    this.#connection.close();
  }

  async #ask(path: string, method = 'GET', body?: string): Promise<Answer> {
    const answer = await this.#connection.ask({ method, path, ...(body === undefined ? {} : { body }) });
    if (answer.status !== 200) throw new ApiError(answer.status, answer.text.trim());
    return answer;
  }
}

/** In the form of the events' timestamps. */
function now(): string {
  return new Date().toISOString().replace('Z', '000000Z');
}

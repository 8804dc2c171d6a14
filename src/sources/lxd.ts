import { Connection } from '../client/connection.js';
import type { Config, Device, SourceName } from '../instances/model.js';
import { dialects, type SourceSetting } from './dialects.js';
import type { Source, SourcedInstance, SourceEvents } from './source.js';

/** What is read of an instance (api.InstanceFull). */
interface ApiInstance {
  readonly name: string;
  readonly project: string;
  readonly type: string;
  readonly description: string;
  readonly created_at: string;
  readonly expanded_config: Readonly<Record<string, string>>;
  readonly expanded_devices: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** null: LXD could not find out */
  readonly state: { readonly pid: number } | null;
}

interface LifecycleEvent {
  readonly project?: string;
  readonly metadata: { readonly source: string };
}

/** LXD or Incus, by its own socket: it says that something happened, and is then asked what there is. */
export class Lxd implements Source {
  readonly name: SourceName;
  // One request after the other, however many there are to be made.
  readonly #connection: Connection;

  constructor({ name, socketPath }: SourceSetting) {
    this.name = name;
    this.#connection = new Connection(socketPath);
  }

  async list(): Promise<SourcedInstance[]> {
    const all = (await this.#get('/1.0/instances?recursion=2&all-projects=true')) as readonly ApiInstance[];
    return all.filter(({ type }) => type === 'container').map((found) => this.#sourced(found));
  }

  async get(project: string, name: string): Promise<SourcedInstance | undefined> {
    const path = `/1.0/instances/${encodeURIComponent(name)}?recursion=1&project=${encodeURIComponent(project)}`;
    const found = (await this.#get(path)) as ApiInstance | undefined;
    return found?.type === 'container' ? this.#sourced(found) : undefined;
  }

  async follow(events: SourceEvents): Promise<() => void> {
    const socket = this.#connection.webSocket('/1.0/events?type=lifecycle&all-projects=true');
    socket.on('message', (data) => {
      const { project = 'default', metadata } = JSON.parse(String(data)) as LifecycleEvent;
      const [, name] = /^\/1\.0\/(?:instances|containers)\/([^/?]+)/.exec(metadata.source) ?? [];
      if (name !== undefined) events.changed(project, decodeURIComponent(name));
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.on('error', reject);
    });
    socket.on('close', () => events.ended());
    return () => socket.terminate();
  }

  /** Requests under way fail. */
  close(): void {
    this.#connection.close();
  }

  /** With LXD's names of the keys, whichever daemon it is: the guest API and the store know no others. */
  #sourced(found: ApiInstance): SourcedInstance {
    const { keys } = dialects[this.name];
    const config = Object.entries(found.expanded_config).map(([key, value]) => [keys.get(key) ?? key, value] as const);
    return sourcedOf(found, new Map(config));
  }

  /** undefined: not found */
  async #get(path: string): Promise<unknown> {
    const { status, text } = await this.#connection.ask({ method: 'GET', path });
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text.slice(0, 200)}`);
    return (JSON.parse(text) as { metadata: unknown }).metadata;
  }
}

function sourcedOf(found: ApiInstance, config: Config): SourcedInstance {
  const { project, name, description, created_at: createdAt, state } = found;
  const devices = Object.entries(found.expanded_devices).map(([device, options]): [string, Device] => [
    device,
    new Map(Object.entries(options)),
  ]);
  return {
    project,
    name,
    uuid: config.get('volatile.uuid') ?? '',
    description,
    createdAt,
    config,
    devices: new Map(devices),
    pid: state?.pid ?? 0,
  };
}

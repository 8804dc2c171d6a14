import type { WebSocket } from 'ws';
import type { Config, Device, SourceName } from '../instances/model.js';
import { SourceApi } from './api.js';
import { dialects, type SourceSetting } from './dialects.js';
import type { Source, SourcedInstance, SourceEvents } from './source.js';

/** What is read of an instance (api.InstanceFull). */
interface ApiInstance {
  readonly name: string;
  readonly project: string;
  readonly type: string;
  /** which member of the cluster runs it; none: it is no cluster */
  readonly location: string;
  readonly description: string;
  readonly created_at: string;
  readonly expanded_config: Readonly<Record<string, string>>;
  readonly expanded_devices: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** null: LXD could not find out */
  readonly state: { readonly pid: number } | null;
}

/** What is read of the server (api.Server). */
interface ApiServer {
  readonly environment: { readonly server_name: string };
}

interface LifecycleEvent {
  readonly project?: string;
  readonly metadata: { readonly source: string };
}

/** LXD or Incus, by its own socket: it says that something happened, and is then asked what there is. */
export class Lxd implements Source {
  readonly name: SourceName;
  readonly #api: SourceApi;
  #events: WebSocket | undefined;

  /** seconds: how long it may take to answer; 0: any time */
  constructor(source: SourceSetting, seconds: number) {
    this.name = source.name;
    this.#api = new SourceApi(source, seconds);
  }

  async list(): Promise<SourcedInstance[]> {
    const all = (await this.#api.get('/1.0/instances?recursion=2&all-projects=true', 10)) as readonly ApiInstance[];
    return (await this.#here(all)).map((found) => this.#sourced(found));
  }

  async get(project: string, name: string): Promise<SourcedInstance | undefined> {
    const path = `/1.0/instances/${encodeURIComponent(name)}?recursion=1&project=${encodeURIComponent(project)}`;
    const found = (await this.#api.get(path)) as ApiInstance | undefined;
    const [here] = await this.#here(found === undefined ? [] : [found]);
    return here && this.#sourced(here);
  }

  async follow(events: SourceEvents): Promise<() => void> {
    const socket = this.#api.webSocket('/1.0/events?type=lifecycle&all-projects=true');
    this.#events = socket;
    socket.on('message', (data) => {
      try {
        tell(JSON.parse(String(data)) as LifecycleEvent, events);
      } catch {
        socket.terminate(); // nobody knows what it meant: as after any broken connection, everything is read anew
      }
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.on('error', reject);
    });
    socket.on('close', () => events.ended());
    return () => socket.terminate();
  }

  /** Requests under way fail, and nothing is told any more. */
  close(): void {
    this.#events?.terminate();
    this.#api.close();
  }

  /** The containers of this host: a cluster tells of all, with the pids that they have where they run. */
  async #here(all: readonly ApiInstance[]): Promise<ApiInstance[]> {
    const containers = all.filter(({ type }) => type === 'container');
    if (containers.every(({ location }) => location === 'none')) return containers;
    const { environment } = (await this.#api.get('/1.0')) as ApiServer;
    return containers.filter(({ location }) => location === 'none' || location === environment.server_name);
  }

  /** With LXD's names of the keys, whichever daemon it is: the guest API and the store know no others. */
  #sourced(found: ApiInstance): SourcedInstance {
    const { keys } = dialects[this.name];
    const config = Object.entries(found.expanded_config).map(([key, value]) => [keys.get(key) ?? key, value] as const);
    return sourcedOf(found, new Map(config));
  }
}

function tell({ project = 'default', metadata }: LifecycleEvent, events: SourceEvents): void {
  const [, name] = /^\/1\.0\/(?:instances|containers)\/([^/?]+)/.exec(metadata.source) ?? [];
  if (name !== undefined) events.changed(project, decodeURIComponent(name));
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

import type { EventSocket } from '../client/connection.js';
import { dialects, type SourceSetting } from '../config/dialects.js';
import { type Config, type Device, type PeerName, readyKey } from '../model/instance.js';
import {
  type Happened,
  type Listed,
  type Named,
  type Source,
  type SourcedInstance,
  type SourceEvents,
  type SourceServer,
  Unread,
} from './source.js';
import { Refused, SourceApi, type SourceLimits } from './source-api.js';
import { type ApiInstance, isNamed, isReadable } from './source-instance.js';

/** What is read of the server (api.Server). */
interface ApiServer {
  readonly environment: { readonly server_name: string; readonly server_pid?: number };
  readonly api_extensions?: readonly string[];
}

interface LifecycleEvent {
  readonly project?: string;
  readonly metadata: { readonly action: string; readonly source: string };
}

/** api.Stopped; whatever else it is, it may have an init */
const stopped = 102;

/** What is done in an instance and not to it: `lxc exec` and its like, which monitors call all the time. */
const withoutChange = /^instance-(?:exec|console|file)(?:$|-)/;

/** LXD or Incus, by its own socket: it says that something happened, and is then asked what there is. */
export class Lxd implements Source {
  readonly name: PeerName;
  readonly asked = { all: 0, one: 0, 'all-pids': 0, 'one-pid': 0 };
  readonly #api: SourceApi;
  #events: EventSocket | undefined;

  constructor(source: SourceSetting, limits: SourceLimits) {
    this.name = source.name;
    this.#api = new SourceApi(source, limits);
  }

  async server(): Promise<SourceServer> {
    const { environment, api_extensions: extensions = [] } = (await this.#api.get('/1.0')) as ApiServer;
    const keepsReady = extensions.includes('instance_ready_state');
    return { pid: environment.server_pid, socketPath: this.#api.socketPath, keepsReady };
  }

  async setReady({ project, name }: Named, ready: boolean): Promise<void> {
    const path = `/1.0/instances/${encodeURIComponent(name)}?project=${encodeURIComponent(project)}`;
    await this.#api.patch(path, { config: { [readyKey]: String(ready) } }).catch(unreadIfRefused);
  }

  /** @throws Error, also when it is not even said which instances there are */
  async list(withPids = false): Promise<Listed> {
    const path = `/1.0/instances?recursion=${withPids ? 2 : 1}&all-projects=true`;
    this.asked[withPids ? 'all-pids' : 'all']++;
    const all = await this.#api.get(path, 10);
    if (!Array.isArray(all) || !all.every(isNamed)) throw new Error('the list of instances cannot be understood');
    const here = await this.#here(all);
    return {
      instances: here.filter(isReadable).map((found) => this.#sourced(found)),
      unread: here.filter((found) => !isReadable(found)),
    };
  }

  async get({ project, name }: Named, withPid = false): Promise<SourcedInstance | undefined> {
    const query = `?project=${encodeURIComponent(project)}${withPid ? '&recursion=1' : ''}`;
    this.asked[withPid ? 'one-pid' : 'one']++;
    const found = await this.#api.get(`/1.0/instances/${encodeURIComponent(name)}${query}`).catch(unreadIfRefused);
    if (found === undefined) return undefined;
    if (!isNamed(found)) throw new Unread('what it is called is not said');
    const [here] = await this.#here([found]);
    if (here !== undefined && !isReadable(here)) throw new Unread('what is said of it cannot be understood');
    return here && this.#sourced(here);
  }

  async follow(events: SourceEvents): Promise<() => void> {
    const socket = await this.#api.webSocket('/1.0/events?type=lifecycle&all-projects=true');
    this.#events = socket;
    socket.on('message', (data) => {
      try {
        tell(JSON.parse(String(data)) as LifecycleEvent, events);
      } catch {
        socket.terminate(); // unreadable: reconnect and read everything again, as after any broken connection
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

/** Not of what belongs to an instance: its snapshots, backups and logs are under its own address. */
function tell({ project = 'default', metadata }: LifecycleEvent, events: SourceEvents): void {
  const { action, source } = metadata;
  const [, name] = /^\/1\.0\/(?:instances|containers)\/([^/?]+)(?:\?|$)/.exec(source) ?? [];
  if (name === undefined || withoutChange.test(action)) return;
  events.changed({ project, name: decodeURIComponent(name) }, happenedBy(action));
}

function happenedBy(action: string): Happened {
  if (/-(?:re)?started$/.test(action)) return 'started';
  return action.endsWith('-deleted') ? 'deleted' : 'changed';
}

function unreadIfRefused(error: unknown): never {
  throw error instanceof Refused ? new Unread(error.message) : error;
}

function sourcedOf(found: ApiInstance, config: Config): SourcedInstance {
  const { project, name, description, created_at: createdAt, status_code: status, state } = found;
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
    runs: status !== stopped,
    pid: Math.max(0, state?.pid ?? 0),
  };
}

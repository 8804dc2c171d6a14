import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { type WebSocket, WebSocketServer } from 'ws';
import { dialects } from '../../src/config/dialects.js';
import { listenUnix } from '../../src/gate/unix-socket.js';
import type { PeerName } from '../../src/model/instance.js';
import { packageRoot } from '../../src/package-root.js';
import { FakeImages } from './fake-images.js';

/** LXD itself takes longer from its start until it binds: a daemon that followed the one before has noticed its end. */
const startMilliseconds = 100;

type Options = Readonly<Record<string, string>>;

export interface FakeInstance {
  readonly project: string;
  readonly name: string;
  readonly uuid: string;
  readonly config: Options;
  readonly devices: Readonly<Record<string, Options>>;
  readonly pid: number;
  /** of a cluster: which member runs it */
  readonly location: string;
  /** said of it instead of what is said otherwise */
  readonly raw?: object;
}

/** What LXD 5.0.2 has said of a running container, asked with recursion=1. */
const recorded = JSON.parse(readFileSync(join(packageRoot, 'test/support/recorded/lxd-5.0.2-instance.json'), 'utf8'));

/** The name of the one that answers, in a cluster. */
export const member = 'member1';

/** The part of LXD, or Incus, that a source is asked for; its instances in the shape of LXD 5.0.2's answers. */
export class FakeLxd {
  readonly #directory = mkdtempSync(join(tmpdir(), 'devlxd-fake-lxd-'));
  readonly instances: FakeInstance[] = [];
  readonly images = new FakeImages();
  /** states: lists and single ones that were asked for with pids, which is what costs the real one most */
  readonly fetches = { lists: 0, singles: 0, states: 0, atOnce: 0, mostAtOnce: 0 };
  #server: Server | undefined;
  #guestServer: Server | undefined;
  #stale = '';
  #hangs = false;
  #garbled: string | undefined = 'none';
  /** how long it takes to list all */
  listMilliseconds = 0;
  readonly #listeners = new Set<WebSocket>();
  readonly #name: PeerName;
  readonly #guestDirectory: string;
  /** by name: single requests of these instances are answered so */
  readonly refused = new Map<string, { status: number; error: string }>();
  /** is it told whether its guests are ready? */
  keepsReady = false;
  /** what it was told, in order: NAME STATE */
  readonly patches: string[] = [];
  /** how long such a change takes */
  patchMilliseconds = 0;
  /** what it says its pid is */
  serverPid: number | undefined;

  constructor(name: PeerName = 'lxd') {
    this.#name = name;
    this.#guestDirectory = dialects[name].guestDirectory;
  }

  get socket(): string {
    return join(this.#directory, 'unix.socket');
  }

  /** of its guests; all of them have it mounted */
  get guestSocket(): string {
    return join(this.#directory, this.#guestDirectory, 'sock');
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  async start(): Promise<void> {
    await pause(startMilliseconds);
    const server = createServer((request, response) => this.#handle(request, response));
    const sockets = new WebSocketServer({
      server,
      verifyClient: ({ req }, accept) => {
        if (!this.#hangs) accept(true);
        else req.socket.on('end', () => req.socket.destroy()); // node:http has let go of it
      },
    });
    sockets.on('connection', (socket) => {
      this.#listeners.add(socket);
      socket.on('close', () => this.#listeners.delete(socket));
    });
    this.#server = server.listen(this.socket);
    await once(server, 'listening');
    await this.#listenForGuests();
  }

  /** As LXD does when it starts: removes what is there, and binds. */
  async #listenForGuests(): Promise<void> {
    chmodSync(this.#directory, 0o711);
    mkdirSync(dirname(this.guestSocket), { recursive: true });
    rmSync(this.guestSocket, { force: true });
    // By a descriptor: the end of such a server leaves the file alone.
    const fd = listenUnix(this.guestSocket, 0o666, 1024);
    const server = createServer((_, response) => response.end('of LXD'));
    this.#guestServer = server.listen({ fd });
    await once(server, 'listening');
  }

  /** As it ends in order: it removes its guests' socket, or what has that name. */
  async stopGracefully(): Promise<void> {
    await this.stop();
    rmSync(this.guestSocket, { force: true });
  }

  /** As `kill -9` would: no connection is ended in order. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    for (const socket of this.#listeners) socket.terminate();
    for (const ended of [server, this.#guestServer as Server]) {
      ended.closeAllConnections();
      await new Promise((resolve) => ended.close(resolve));
    }
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  add(name: string, given: Partial<FakeInstance> = {}): void {
    const instance = { project: 'default', config: {}, devices: {}, pid: 0, location: 'none' };
    this.instances.push({ name, uuid: `uuid-${name}`, ...instance, ...given });
  }

  /** Changes an instance and, as LXD, says no more than that it has. action undefined: no event tells of it */
  change(name: string, given: Partial<FakeInstance>, action?: string): void {
    const index = this.instances.findIndex((instance) => instance.name === name);
    const after = { ...(this.instances[index] as FakeInstance), ...given };
    this.instances[index] = after;
    if (action !== undefined) this.tell(action, after.name, after.project);
  }

  /** The next answer with pids says what is there; from then on the instance is stopped. */
  staleOnce(name: string): void {
    this.#stale = name;
  }

  /** From here on nothing is answered, or what comes from then on is again. */
  hang(hangs: boolean): void {
    this.#hangs = hangs;
  }

  /** Every listener loses its connection, and has to read everything again. */
  hangUp(): void {
    for (const socket of this.#listeners) socket.terminate();
  }

  /** From here on lists have this body, or undefined: end in the middle of it; 'none': they are right again */
  garble(body: string | undefined): void {
    this.#garbled = body;
  }

  delete(name: string): void {
    this.instances.splice(
      this.instances.findIndex((instance) => instance.name === name),
      1,
    );
  }

  tell(action: string, name: string, project = 'default'): void {
    const source = `/1.0/instances/${name}${project === 'default' ? '' : `?project=${project}`}`;
    const event = { type: 'lifecycle', timestamp: new Date().toISOString(), metadata: { action, source }, project };
    this.say(JSON.stringify(event));
  }

  /** To all listeners. */
  say(text: string): void {
    for (const socket of this.#listeners) socket.send(text);
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', 'http://lxd');
    const environment = { server_name: member, server_pid: this.serverPid };
    const extensions = this.keepsReady ? ['instance_ready_state'] : [];
    if (url.pathname === '/1.0') answer(response, 200, { environment, api_extensions: extensions });
    else if (request.method === 'PATCH') void this.#patch(url, request, response);
    else if (!url.pathname.startsWith('/1.0/images/')) this.#handleInstances(url, response);
    else if (!this.#hangs) this.#handleImages(url, request, response);
  }

  #handleImages({ pathname, searchParams }: URL, request: IncomingMessage, response: ServerResponse): void {
    const [, , , fingerprint = '', verb] = pathname.split('/');
    const image = this.images.find(fingerprint, searchParams.get('project') ?? 'default');
    if (image === undefined) answer(response, 404, null);
    else if (verb === 'export') void this.images.export(image, request, response);
    else answer(response, 200, image);
  }

  #handleInstances(url: URL, response: ServerResponse): void {
    this.fetches.mostAtOnce = Math.max(this.fetches.mostAtOnce, ++this.fetches.atOnce);
    response.on('close', () => this.fetches.atOnce--);
    if (this.#hangs) return;
    const name = url.pathname.split('/')[3];
    const withState = url.searchParams.get('recursion') === (name === undefined ? '2' : '1');
    if (withState) this.fetches.states++;
    if (name === undefined) void this.#list(response, withState);
    else this.#one(name, url.searchParams.get('project') ?? 'default', response, withState);
  }

  async #list(response: ServerResponse, withState: boolean): Promise<void> {
    this.fetches.lists++;
    await pause(this.listMilliseconds);
    if (this.#garbled !== 'none') {
      response
        .writeHead(200, { 'Content-Length': this.#garbled?.length ?? 1000 })
        .end(this.#garbled ?? '{"metadata":[');
      response.socket?.end();
      return;
    }
    const all = this.instances.map((instance) => rendered(instance, withState, this.#isBetween(instance)));
    answer(response, 200, all);
    if (withState) this.#growStale();
  }

  /** Changes are told of by an event, as by LXD. */
  async #patch(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = decodeURIComponent(url.pathname.split('/')[3] ?? '');
    const { config } = JSON.parse(await text(request)) as Pick<FakeInstance, 'config'>;
    this.patches.push(`${name} ${Object.values(config).join()}`);
    await pause(this.patchMilliseconds);
    if (this.#hangs) return;
    const refused = this.refused.get(name);
    const found = this.instances.find((instance) => instance.name === name);
    if (refused !== undefined) answer(response, refused.status, null, refused.error);
    else if (found === undefined) answer(response, 404, null);
    else {
      answer(response, 200, {});
      this.change(name, { config: { ...found.config, ...config } }, 'instance-updated');
    }
  }

  #one(name: string, project: string, response: ServerResponse, withState: boolean): void {
    this.fetches.singles++;
    const found = this.instances.find((instance) => instance.name === name && instance.project === project);
    const refused = this.refused.get(name);
    if (refused !== undefined) answer(response, refused.status, null, refused.error);
    else if (found === undefined) answer(response, 404, null);
    else if (withState && this.#isBetween(found)) answer(response, 500, null, "Invalid PID '\ufffd'");
    else answer(response, 200, rendered(found, withState));
    if (withState) this.#growStale();
  }

  /** Its init has ended, and Incus has not noticed yet: LXD says of such an instance that it has no pid. */
  #isBetween({ pid }: FakeInstance): boolean {
    return this.#name === 'incus' && pid !== 0 && !existsSync(`/proc/${pid}`);
  }

  #growStale(): void {
    if (this.#stale !== '') this.change(this.#stale, { pid: 0 });
    this.#stale = '';
  }
}

function answer(response: ServerResponse, status: number, metadata: unknown, error = 'not found'): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  const failed = { type: 'error', error, error_code: status, metadata: null };
  response.end(JSON.stringify(status === 200 ? { type: 'sync', metadata } : failed));
}

/** isBetween: as Incus lists an instance whose state it cannot find out */
function rendered(instance: FakeInstance, withState: boolean, isBetween = false): object {
  const { name, project, uuid, config, devices, pid, location, raw } = instance;
  const status = pid === 0 ? { status: 'Stopped', status_code: 102 } : { status: 'Running', status_code: 103 };
  const { state, ...rest } = recorded;
  if (isBetween) Object.assign(status, { status: 'Error', status_code: 112 });
  return {
    ...rest,
    name,
    project,
    location,
    expanded_config: { ...config, 'volatile.uuid': uuid, 'volatile.cloud-init.instance-id': `id-${uuid}` },
    expanded_devices: devices,
    ...status,
    ...(withState ? { state: isBetween ? null : { ...state, ...status, pid } } : {}),
    ...raw,
  };
}

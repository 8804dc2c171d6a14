import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import type { EtcdSetting } from '../config/fleet-setting.js';
import { socketPaths } from '../config/paths.js';
import { BatchHandlers } from '../control/batch-handlers.js';
import { type ControlEndpoint, recordEndpoints } from '../control/control-endpoints.js';
import { ControlEvents } from '../control/control-events.js';
import type { ControlHandler } from '../control/control-reply.js';
import { ControlServer } from '../control/control-server.js';
import { EventStreams } from '../control/event-stream.js';
import { InstanceHandlers } from '../control/instance-handlers.js';
import { Operations } from '../control/operations.js';
import { ProfileHandlers } from '../control/profile-handlers.js';
import { ProjectHandlers } from '../control/project-handlers.js';
import { instanceUrl } from '../control/render.js';
import { rolloutIn } from '../control/rollout.js';
import { fleetInfo } from '../control/server-info.js';
import { Fault } from '../errors.js';
import { FleetKeys } from '../fleet/fleet-keys.js';
import type { PartOfFleet } from '../fleet/fleet-part.js';
import { FleetView } from '../fleet/fleet-view.js';
import { SeenHosts } from '../fleet/seen-hosts.js';
import { listenUnix } from '../gate/unix-socket.js';
import { HandoverRequests } from '../handover/give.js';
import { fileId, RunDirectoryOwner, removeFile } from '../handover/run-directory.js';
import { LimitHits } from '../limits/limit-hits.js';
import type { Limits } from '../limits/limits.js';
import type { Log } from '../log.js';
import type { InstanceStatus } from '../model/instance.js';
import { appliedHandler } from './applied-handler.js';
import { MemberHandlers } from './member-handlers.js';
import { placeOn } from './placing.js';

/** etcd takes 1.5 MiB and 128 operations at once; a new instance is two. */
const mostAtOnce = { 'batch-lines': 60, 'control-body': 1024 * 1024 } as const;

const backlog = 128;

/** The host API over a whole fleet, on a socket. It keeps nothing but what etcd has: there may be any number of them. */
export class FleetEndpoint {
  readonly #view: FleetView;
  readonly #control: ControlServer;
  readonly #close: () => void;

  private constructor(view: FleetView, control: ControlServer, close: () => void) {
    this.#view = view;
    this.#control = control;
    this.#close = close;
  }

  /**
   * Answers on control.sock of a directory, once everything is read. part: all that will be asked for
   * @throws Fault fleet-away or socket-in-use
   */
  static async open(
    setting: EtcdSetting,
    runDir: string,
    given: Limits,
    log: Log,
    part?: PartOfFleet,
  ): Promise<FleetEndpoint> {
    const limits = { ...given, ...mostAtOnce };
    const keys = new FleetKeys(setting.prefix);
    const events = new ControlEvents();
    const hosts = new SeenHosts(
      (_, project, name, before, after) => tell(events, project, name, before, after),
      () => view.registry.placements(),
    );
    const view: FleetView = new FleetView(setting, keys, hosts, limits, log, part);
    view.registry.on('written', (change, requestor) => events.written(change, requestor));
    try {
      await view.open();
      const limitHits = new LimitHits();
      const streams = new EventStreams(events, view.registry, limits, limitHits);
      const endpoints = endpointsOf(view, hosts, keys, events, limits);
      const control = new ControlServer(endpoints, streams, new HandoverRequests(false), limits, false, log, limitHits);
      const { fd, close } = listening(runDir);
      control.run(fd);
      return new FleetEndpoint(view, control, close);
    } catch (error) {
      await view.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#control.stop();
    this.#close();
    await this.#view.stop();
  }
}

function endpointsOf(
  view: FleetView,
  hosts: SeenHosts,
  keys: FleetKeys,
  events: ControlEvents,
  limits: Limits,
): ControlEndpoint[] {
  const { registry } = view;
  const operations = new Operations();
  operations.on('changed', (operation) => events.operation(operation));
  const instances = new InstanceHandlers(
    registry,
    { start: onItsHost, stop: onItsHost },
    operations,
    limits,
    placeOn(hosts),
  );
  const profiles = new ProfileHandlers(registry, limits, rolloutIn);
  const projects = new ProjectHandlers(registry, operations);
  const batches = new BatchHandlers(registry, operations, { instances, profiles });
  const members = new MemberHandlers(hosts);
  const all: ControlEndpoint[] = [
    ...recordEndpoints({ instances, profiles, projects, batches, operations, info: fleetInfo(limits) }),
    { path: '/1.0/cluster', methods: { GET: members.cluster } },
    { path: '/1.0/cluster/members', methods: { GET: members.list } },
    { path: '/1.0/cluster/members/{name}', methods: { GET: members.get } },
    { path: '/1.0/identity/keys', methods: { GET: members.identityKeys } },
    { path: '/1.0/fleet/applied', methods: { GET: appliedHandler(view, hosts, keys) } },
  ];
  return all.map((endpoint) => ({ ...endpoint, methods: whileThere(view, endpoint.methods) }));
}

/** What it knows may be old when etcd is away: nothing is answered then, as if nothing were known. */
function whileThere(view: FleetView, methods: ControlEndpoint['methods']): ControlEndpoint['methods'] {
  return Object.fromEntries(
    Object.entries(methods).map(([method, handler]): [string, ControlHandler] => [
      method,
      (request) => {
        void view.connection;
        return handler(request);
      },
    ]),
  );
}

async function onItsHost(_project: string, name: string): Promise<never> {
  throw new Fault('belongs-to-source', `The instance "${name}" starts and stops on its host alone`);
}

/** Hosts say which instances run; operators hear of it as of any other change. */
function tell(
  events: ControlEvents,
  project: string,
  name: string,
  before: InstanceStatus,
  after: InstanceStatus,
): void {
  const source = instanceUrl(name, project);
  const actions = {
    started: before === 'Stopped' && after !== 'Stopped',
    ready: after === 'Ready',
    stopped: before !== 'Stopped' && after === 'Stopped',
  };
  for (const [action, is] of Object.entries(actions))
    if (is) events.lifecycle({ project, action: `instance-${action}`, source, context: {} }, undefined);
}

/** @throws Fault socket-in-use */
function listening(runDir: string): { fd: number; close: () => void } {
  if (!existsSync(runDir)) {
    mkdirSync(runDir, { recursive: true });
    chmodSync(runDir, 0o711);
  }
  const owner = new RunDirectoryOwner(runDir);
  owner.check();
  const { control } = socketPaths(runDir);
  const fd = listenUnix(control, 0o600, backlog);
  const id = fileId(control);
  owner.claim();
  const close = (): void => {
    removeFile(control, id);
    owner.release();
  };
  return { fd, close };
}

import { Readable } from 'node:stream';
import { Fault, invalid } from '../errors.js';
import type { BatchHandlers } from './batch-handlers.js';
import {
  type ControlHandler,
  type ControlReply,
  type ControlRequest,
  sync,
  type UploadHandler,
} from './control-reply.js';
import type { HookHandlers } from './hook-handlers.js';
import type { IdentityHandlers } from './identity-handlers.js';
import type { ImageHandlers } from './image-handlers.js';
import type { InstanceHandlers } from './instance-handlers.js';
import { getNetwork, getNetworkState, listNetworks } from './network-handlers.js';
import type { Operations } from './operations.js';
import type { ProfileHandlers } from './profile-handlers.js';
import type { ProjectHandlers } from './project-handlers.js';
import type { SourceHandlers } from './source-handlers.js';

/** One path of the host API; {name} stands for one segment. */
export interface ControlEndpoint {
  readonly path: string;
  readonly methods: Readonly<Record<string, ControlHandler>>;
  /** its POST, where that is an upload */
  readonly upload?: UploadHandler;
}

/** What answers about records, on a host and for a fleet alike. */
export interface RecordHandlers {
  readonly instances: InstanceHandlers;
  readonly profiles: ProfileHandlers;
  readonly projects: ProjectHandlers;
  readonly batches: BatchHandlers;
  readonly operations: Operations;
  /** GET /1.0 */
  readonly info: ControlHandler;
}

/** The host API, in LXD's dialect: docs/host-api.md describes it. */
export function controlEndpoints(
  records: RecordHandlers,
  images: ImageHandlers,
  hooks: HookHandlers,
  identity: IdentityHandlers,
  source: SourceHandlers,
  backup: ControlHandler,
  metrics: Metrics,
): readonly ControlEndpoint[] {
  return [
    ...recordEndpoints(records),
    { path: '/1.0/images', methods: { GET: images.list }, upload: images.create },
    { path: '/1.0/images/aliases', methods: { GET: () => sync([]), POST: noAliases } },
    { path: '/1.0/images/aliases/{name}', methods: { GET: noSuchAlias } },
    {
      path: '/1.0/images/{fingerprint}',
      methods: { GET: images.get, PUT: images.replace, PATCH: images.patch, DELETE: images.remove },
    },
    { path: '/1.0/images/{fingerprint}/export', methods: { GET: images.export } },
    { path: '/1.0/backup', methods: { GET: backup } },
    { path: '/1.0/hooks/{runtime}', methods: { POST: hooks.run } },
    { path: '/1.0/identity', methods: { GET: identity.get } },
    { path: '/1.0/identity/keys', methods: { GET: identity.keys } },
    { path: '/1.0/identity/rotate', methods: { POST: identity.rotate } },
    { path: '/1.0/source', methods: { GET: source.get } },
    { path: '/1.0/source/accept', methods: { POST: source.accept } },
    { path: '/1.0/metrics', methods: { GET: ({ query }) => metricsText(metrics, query) } },
  ];
}

/** Of instances, profiles and projects, and what is done with them. */
export function recordEndpoints({
  instances,
  profiles,
  projects,
  batches,
  operations,
  info,
}: RecordHandlers): readonly ControlEndpoint[] {
  return [
    { path: '/', methods: { GET: () => sync(['/1.0']) } },
    { path: '/1.0', methods: { GET: info } },
    ...instanceEndpoints('instances', instances),
    ...instanceEndpoints('containers', instances),
    { path: '/1.0/networks', methods: { GET: listNetworks } },
    { path: '/1.0/networks/{name}', methods: { GET: getNetwork } },
    { path: '/1.0/networks/{name}/state', methods: { GET: getNetworkState } },
    { path: '/1.0/profiles', methods: { GET: profiles.list, POST: profiles.create } },
    {
      path: '/1.0/profiles/{name}',
      methods: {
        GET: profiles.get,
        PUT: profiles.replace,
        PATCH: profiles.patch,
        POST: profiles.rename,
        DELETE: profiles.remove,
      },
    },
    { path: '/1.0/projects', methods: { GET: projects.list, POST: projects.create } },
    {
      path: '/1.0/projects/{name}',
      methods: {
        GET: projects.get,
        PUT: projects.replace,
        PATCH: projects.patch,
        POST: projects.rename,
        DELETE: projects.remove,
      },
    },
    { path: '/1.0/batch', methods: { POST: batches.create } },
    { path: '/1.0/batch/check', methods: { POST: batches.check } },
    { path: '/1.0/events', methods: { GET: () => noWebSocket() } },
    { path: '/1.0/operations', methods: { GET: ({ query }) => sync(operationList(operations, query)) } },
    { path: '/1.0/operations/{id}', methods: { GET: operation(operations), DELETE: cancel(operations) } },
    { path: '/1.0/operations/{id}/wait', methods: { GET: wait(operations) } },
  ];
}

/** LXD called them containers before it had virtual machines; Debian 12's pylxd still does. */
function instanceEndpoints(
  collection: 'instances' | 'containers',
  instances: InstanceHandlers,
): readonly ControlEndpoint[] {
  const one = {
    GET: instances.get,
    PUT: instances.replace,
    PATCH: instances.patch,
    POST: instances.rename,
    DELETE: instances.remove,
  };
  const path = `/1.0/${collection}`;
  return [
    { path, methods: { GET: instances.listIn(collection), POST: instances.create } },
    { path: `${path}/{name}`, methods: one },
    { path: `${path}/{name}/state`, methods: { GET: instances.getState, PUT: instances.putState } },
    { path: `${path}/{name}/snapshots`, methods: { GET: instances.noneOfThem, POST: noCopies } },
    { path: `${path}/{name}/backups`, methods: { GET: instances.noneOfThem, POST: noCopies } },
  ];
}

/** What is measured, as Prometheus reads it; of each running instance as well, or of all together only. */
export type Metrics = (perInstance: boolean) => Promise<{
  readonly contentType: string;
  readonly pieces: readonly Buffer[];
  /** bytes */
  readonly length: number;
}>;

async function metricsText(metrics: Metrics, query: URLSearchParams): Promise<ControlReply> {
  const per = query.get('per') || 'none';
  if (per !== 'none' && per !== 'instance') throw invalid('per', `"${per}" is not instance`);
  const { contentType: type, pieces, length } = await metrics(per === 'instance');
  return { kind: 'stream', type, length, stream: Readable.from(pieces, { objectMode: false }) };
}

function noCopies(): never {
  throw new Fault('not-implemented', 'devlxd has no snapshots and backups: it holds no root file systems');
}

function noAliases(): never {
  throw new Fault('not-implemented', 'devlxd has no aliases of images; use the fingerprint, or the beginning of it');
}

function noSuchAlias({ parameters }: ControlRequest): never {
  throw new Fault('not-found', `Image alias "${parameters['name']}" not found: devlxd has no aliases of images`);
}

function noWebSocket(): never {
  throw invalid('Upgrade', 'is missing: events come over a WebSocket');
}

function operation(operations: Operations): ControlHandler {
  return ({ parameters }) => sync(operations.need(parameters['id'] ?? '').render());
}

/** Waits for the end, or for ?timeout= seconds (-1: for as long as it takes). */
function wait(operations: Operations): ControlHandler {
  return async ({ parameters, query }: ControlRequest) => {
    const found = operations.need(parameters['id'] ?? '');
    const seconds = Number(query.get('timeout') ?? '-1');
    if (seconds < 0 || Number.isNaN(seconds)) await found.finished;
    else await Promise.race([found.finished, after(seconds)]);
    return sync(found.render());
  };
}

function after(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000).unref();
  });
}

/** Nothing here takes long enough to be stopped half-way. */
function cancel(operations: Operations): ControlHandler {
  return ({ parameters }) => {
    operations.need(parameters['id'] ?? '');
    throw new Fault('invalid-value', "This operation can't be cancelled");
  };
}

/** By status, as LXD lists them: running, success, failure. */
function operationList(operations: Operations, query: URLSearchParams): object {
  const full = (query.get('recursion') || '0') !== '0';
  const byStatus: Record<string, unknown[]> = {};
  for (const found of operations.list()) {
    const status = found.status.toLowerCase();
    byStatus[status] ??= [];
    byStatus[status].push(full ? found.render() : `/1.0/operations/${found.id}`);
  }
  return byStatus;
}

import { hostname } from 'node:os';
import { version } from '../package-root.js';
import type { ImageHandlers } from './images.js';
import type { InstanceHandlers } from './instances.js';
import type { Operations } from './operations.js';
import { type HostHandler, type HostRequest, sync } from './reply.js';

/** One path of the host API; {name} stands for one segment. */
export interface HostEndpoint {
  readonly path: string;
  readonly methods: Readonly<Record<string, HostHandler>>;
  /** its POST reads the body itself */
  readonly upload?: true;
}

/** The host API, in LXD's dialect: docs/host-api.md describes it. */
export function hostEndpoints(
  instances: InstanceHandlers,
  images: ImageHandlers,
  operations: Operations,
): readonly HostEndpoint[] {
  return [
    { path: '/', methods: { GET: () => sync(['/1.0']) } },
    { path: '/1.0', methods: { GET: () => sync(serverInfo()) } },
    { path: '/1.0/images', methods: { GET: images.list, POST: images.create }, upload: true },
    {
      path: '/1.0/images/{fingerprint}',
      methods: { GET: images.get, PUT: images.replace, PATCH: images.patch, DELETE: images.remove },
    },
    { path: '/1.0/images/{fingerprint}/export', methods: { GET: images.export } },
    { path: '/1.0/instances', methods: { GET: instances.list, POST: instances.create } },
    {
      path: '/1.0/instances/{name}',
      methods: { GET: instances.get, PUT: instances.replace, PATCH: instances.patch, DELETE: instances.remove },
    },
    { path: '/1.0/instances/{name}/state', methods: { GET: instances.getState, PUT: instances.putState } },
    { path: '/1.0/operations', methods: { GET: () => sync(operationList(operations)) } },
    { path: '/1.0/operations/{id}', methods: { GET: operation(operations) } },
    { path: '/1.0/operations/{id}/wait', methods: { GET: wait(operations) } },
  ];
}

function serverInfo(): object {
  return {
    api_extensions: ['instances'],
    api_status: 'stable',
    api_version: '1.0',
    auth: 'trusted',
    public: false,
    auth_methods: [],
    environment: { server: 'devlxd', server_name: hostname(), server_version: version, server_pid: process.pid },
    config: {},
  };
}

function operation(operations: Operations): HostHandler {
  return ({ parameters }) => sync(operations.need(parameters['id'] ?? '').render());
}

/** Waits for the end, or for ?timeout= seconds (-1: for as long as it takes). */
function wait(operations: Operations): HostHandler {
  return async ({ parameters, query }: HostRequest) => {
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

function operationList(operations: Operations): object {
  const byStatus: Record<string, string[]> = {};
  for (const { id, status } of operations.list()) {
    byStatus[status.toLowerCase()] ??= [];
    byStatus[status.toLowerCase()]?.push(`/1.0/operations/${id}`);
  }
  return byStatus;
}

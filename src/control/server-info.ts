import { hostname, release, type } from 'node:os';
import type { ServerInfo } from '../api/types.js';
import type { Limits } from '../limits/limits.js';
import { defaultProject } from '../model/instance.js';
import { version } from '../package-root.js';
import { type ControlHandler, sync } from './control-reply.js';
import { architecture } from './render.js';

/** LXD's API extensions that are really there (its doc/api-extensions.md): clients look here before they ask. */
const extensions = [
  'etag',
  'patch',
  'profile_usedby',
  'operation_description',
  'container_full',
  'container_backup', // the list, which is empty: `lxc info` does without no less
  'network', // unmanaged ones only
  'projects',
  'instances',
  'entity_description',
  'api_filtering',
  'event_lifecycle',
  'event_lifecycle_requestor',
  'instance_all_projects',
  'cloud_init',
];

/** GET /1.0: what the server is. */
export function serverInfo(limits: Limits): ControlHandler {
  return ({ query }) => sync(infoOf(query, limits, extensions, false));
}

/** The same of an endpoint of a fleet, which is to LXD's clients what a cluster is. */
export function fleetInfo(limits: Limits): ControlHandler {
  return ({ query }) => sync(infoOf(query, limits, [...extensions, 'clustering'], true));
}

function infoOf(query: URLSearchParams, limits: Limits, known: readonly string[], isFleet: boolean): ServerInfo {
  return {
    api_extensions: known,
    api_status: 'stable',
    api_version: '1.0',
    auth: 'trusted',
    auth_methods: [],
    config: {},
    public: false,
    environment: {
      addresses: [],
      architectures: [architecture],
      kernel: type(),
      kernel_architecture: architecture,
      kernel_version: release(),
      project: query.get('project') || defaultProject,
      server: 'devlxd',
      server_clustered: isFleet,
      server_name: hostname(),
      server_pid: process.pid,
      server_version: version,
      batch_bytes: limits['control-body'],
      batch_lines: limits['batch-lines'],
    },
  };
}

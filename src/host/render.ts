import {
  byName,
  type Devices,
  expandedConfig,
  expandedDevices,
  type Instance,
  sortedObject,
} from '../instances/model.js';
import { etagOf } from './reply.js';

const architectures: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
export const architecture = architectures[process.arch] ?? process.arch;

/** An instance as LXD's API describes it (api.Instance). */
export function renderInstance(instance: Instance): object {
  return {
    ...writable(instance),
    description: '',
    stateful: false,
    created_at: instance.createdAt,
    expanded_config: sortedObject(expandedConfig(instance)),
    expanded_devices: renderDevices(expandedDevices(instance)),
    name: instance.name,
    ...status(instance),
    last_used_at: '1970-01-01T00:00:00Z',
    location: 'none',
    type: 'container',
    project: instance.project,
  };
}

/** Its state (api.InstanceState), as far as a daemon without the containers can know it. */
export function renderState(instance: Instance): object {
  return {
    ...status(instance),
    disk: null,
    memory: { usage: 0, usage_peak: 0, swap_usage: 0, swap_usage_peak: 0 },
    network: null,
    pid: instance.run?.pid ?? 0,
    processes: -1,
    cpu: { usage: 0 },
  };
}

/** The tag that a change of anything a PUT may change changes. */
export function instanceEtag(instance: Instance): string {
  return etagOf(writable(instance));
}

function writable({ config, devices }: Instance): object {
  return {
    architecture,
    config: sortedObject(config),
    devices: renderDevices(devices),
    ephemeral: false,
    profiles: [],
  };
}

function status({ run }: Instance): { status: string; status_code: number } {
  return run === undefined ? { status: 'Stopped', status_code: 102 } : { status: 'Running', status_code: 103 };
}

function renderDevices(devices: Devices): object {
  return Object.fromEntries([...devices].sort(byName).map(([name, device]) => [name, sortedObject(device)]));
}

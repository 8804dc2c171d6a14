import type * as Shown from '../api/types.js';
import { projectFeatures } from '../instances/project-table.js';
import {
  byName,
  type Devices,
  defaultProject,
  type Instance,
  type InstanceStatus,
  type Profile,
  type Project,
  sortedObject,
  statusOf,
} from '../model/instance.js';
import { etagOf } from './control-reply.js';

const architectures: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
export const architecture = architectures[process.arch] ?? process.arch;

/** The state of an instance (api.InstanceState), as far as a daemon without the containers can know it. */
export function renderState(instance: Instance): Shown.InstanceState {
  const { status, status_code } = codedStatus(instance);
  return {
    status,
    status_code,
    disk: null,
    memory: { usage: 0, usage_peak: 0, swap_usage: 0, swap_usage_peak: 0 },
    network: null,
    pid: instance.run?.pid ?? 0,
    processes: -1,
    cpu: { usage: 0 },
  };
}

/** A profile as LXD's API describes it (api.Profile). */
export function renderProfile(profile: Profile, usedBy: readonly string[]): Shown.Profile {
  const { name, rollout } = profile;
  return { ...writableProfile(profile), ...(rollout === undefined ? {} : { rollout }), name, used_by: usedBy };
}

export function profileEtag(profile: Profile): string {
  return etagOf(writableProfile(profile));
}

/** What a PUT may change. */
export function writableProfile({ description, config, devices }: Profile): Shown.ProfileWritten {
  return { config: sortedObject(config), description, devices: renderDevices(devices) };
}

/** A project as LXD's API describes it (api.Project). */
export function renderProject(project: Project, usedBy: readonly string[]): Shown.Project {
  return { ...writableProject(project), name: project.name, used_by: usedBy };
}

export function projectEtag(project: Project): string {
  return etagOf(writableProject(project));
}

function writableProject({ description, config }: Project): Shown.ProjectWritten {
  return { config: sortedObject(new Map([...config, ...projectFeatures])), description };
}

export function instanceUrl(name: string, project: string, collection = 'instances'): string {
  return `/1.0/${collection}/${name}${inProject(project)}`;
}

export function profileUrl(name: string, project: string): string {
  return `/1.0/profiles/${name}${inProject(project)}`;
}

export function projectUrl(name: string): string {
  return `/1.0/projects/${name}`;
}

function inProject(project: string): string {
  return project === defaultProject ? '' : `?project=${project}`;
}

/** LXD's codes (shared/api/status_code.go). */
const statusCodes = { Stopped: 102, Running: 103, Error: 112, Ready: 113 } as const;

export function codedStatus(instance: Instance): { status: InstanceStatus; status_code: number } {
  const status = statusOf(instance);
  return { status, status_code: statusCodes[status] };
}

function renderDevices(devices: Devices): Shown.Devices {
  return Object.fromEntries([...devices].sort(byName).map(([name, device]) => [name, sortedObject(device)]));
}

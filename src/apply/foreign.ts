import { OptionError } from '../config/options.js';

/** What `lxc config show`, `lxc profile show`, `devlxd show` and exports say of an instance that is not to be set. */
const unusedOfInstances = [
  'architecture',
  'backups',
  'created_at',
  'ephemeral',
  'expanded_config',
  'expanded_devices',
  'instance_type',
  'last_used_at',
  'location',
  'pid',
  'project',
  'restore',
  'snapshots',
  'source',
  'start',
  'state',
  'stateful',
  'status',
  'status_code',
];
const unusedOfProfiles = ['project', 'used_by'];
/** What else a preseed of LXD or Incus sets up. */
const unusedSections = [
  'certificates',
  'cluster',
  'cluster_groups',
  'config',
  'networks',
  'network_acls',
  'network_zones',
  'projects',
  'server',
  'storage_buckets',
  'storage_pools',
  'storage_volumes',
];

const unused = {
  instance: new Set(unusedOfInstances),
  profile: new Set(unusedOfProfiles),
  file: new Set(unusedSections),
} as const;

export const instanceIdKey = 'volatile.cloud-init.instance-id';

type Fields = Readonly<Record<string, unknown>>;

export interface Sorted {
  readonly used: Fields;
  /** names of fields, for people */
  readonly leftOut: readonly string[];
}

/** The fields of an instance or a profile that are to be set, and further ones that LXD shows. */
export function sorted(kind: 'instance' | 'profile' | 'file', fields: Fields): Sorted {
  const names = unused[kind];
  const leftOut: string[] = [];
  for (const name in fields) if (names.has(name)) leftOut.push(name);
  const entries = () => Object.entries(fields).filter(([name]) => !names.has(name));
  const used = leftOut.length === 0 ? fields : Object.fromEntries(entries());
  if (kind !== 'file') addVolatileKeys(fields['config'], leftOut);
  return { used, leftOut };
}

/** Keys of the daemon that showed them; a new instance keeps its instance-id. */
function addVolatileKeys(config: unknown, leftOut: string[]): void {
  if (typeof config !== 'object' || config === null) return;
  for (const key in config) if (key.startsWith('volatile.') && key !== instanceIdKey) leftOut.push(`config.${key}`);
}

/** One instance or profile as `show` prints it; undefined: a file with sections. */
export function shownKind(document: Fields): 'instance' | 'profile' | undefined {
  const isShown =
    ['name', 'config', 'devices', 'used_by', 'architecture'].filter((name) => name in document).length > 1;
  const isPreseed = ['networks', 'storage_pools', 'projects', 'cluster', 'instances'].some((name) => name in document);
  if (!isShown || isPreseed || isListOfObjects(document['profiles'])) return undefined;
  return 'used_by' in document && !('profiles' in document) ? 'profile' : 'instance';
}

/** @throws OptionError when it is of another project than the one that is applied to */
export function checkProject(given: unknown, project: string, where: string): void {
  if (given === undefined || given === '' || given === project) return;
  throw new OptionError(`${where}: is of the project "${given}"; apply it with --project ${given}.`);
}

function isListOfObjects(value: unknown): boolean {
  return Array.isArray(value) && value.some((each) => typeof each === 'object');
}

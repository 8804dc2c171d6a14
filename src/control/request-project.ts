import { withoutEmpty } from '../instances/edit.js';
import type { Registry } from '../instances/registry.js';
import { type Devices, defaultProject } from '../model/instance.js';
import type { ControlRequest } from './control-reply.js';

type Asked = Pick<ControlRequest, 'query'>;

/**
 * The project that a request is about.
 * @throws Fault not-found
 */
export function projectOf({ query }: Asked, registry: Registry): string {
  return registry.needProject(query.get('project') || defaultProject).name;
}

/** The projects that a list is about: one, or undefined for all. */
export function listedProject(request: Asked, registry: Registry): string | undefined {
  return request.query.get('all-projects') === 'true' ? undefined : projectOf(request, registry);
}

type Given = Readonly<Record<string, string>> | null | undefined;
type GivenDevices = Readonly<Record<string, Readonly<Record<string, string>>>> | null | undefined;

export function mapOf(given: Given): Map<string, string> {
  const map = new Map<string, string>();
  for (const key in given) map.set(key, given[key] ?? '');
  return map;
}

/** Of all that have none, which are most. */
const noDevices: Devices = new Map();

/** Empty options are not set, as in LXD. */
export function devicesOf(given: GivenDevices): Devices {
  const entries = Object.entries(given ?? {});
  if (entries.length === 0) return noDevices;
  return new Map(entries.map(([name, device]) => [name, withoutEmpty(mapOf(device))]));
}

import { uuidKey } from '../instances/derived-keys.js';
import { isVolatile } from '../instances/edit.js';
import { type Devices, type Instance, type Profile, type Project, sortedObject } from '../model/instance.js';

// What desired.ts reads.

export function instanceText({ type, description, createdAt, profiles, config, devices }: Instance): string {
  const own = new Map([...config].filter(([key]) => !isVolatile(key)));
  return JSON.stringify({
    uuid: config.get(uuidKey),
    ...(type === 'container' ? {} : { type }),
    ...(description === '' ? {} : { description }),
    created_at: createdAt,
    profiles: profiles.map(({ name }) => name),
    config: sortedObject(own),
    devices: devicesObject(devices),
  });
}

export function profileText({ description, config, devices, rollout }: Profile): string {
  return JSON.stringify({ description, config: sortedObject(config), devices: devicesObject(devices), rollout });
}

export function projectText({ description, config }: Project): string {
  return JSON.stringify({ description, config: sortedObject(config) });
}

function devicesObject(devices: Devices): object {
  return Object.fromEntries([...devices].map(([name, device]) => [name, sortedObject(device)]));
}

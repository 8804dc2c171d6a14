import { hostname } from 'node:os';
import type { Conditions } from '../images/download.js';
import { guestValue, mergedKeys, unmergedKeys } from '../instances/cloud-init/guest-value.js';
import { isSshKey } from '../instances/cloud-init/ssh-keys.js';
import { type EventType, timestampPattern } from '../model/guest-events.js';
import { fingerprintPattern } from '../model/image.js';
import {
  byName,
  expandedConfig,
  expandedDevices,
  flag,
  type GuestState,
  type Instance,
  type InstanceType,
  peerOf,
  sortedObject,
} from '../model/instance.js';
import { badRequest, errors, errorsOf } from './guest-errors.js';
import { json, type Reply, raw } from './guest-reply.js';
import { identityRequestIn } from './identity-request.js';
import { stateIn } from './state-request.js';

/** A request as a handler sees it: the caller's instance and the request's parts; never the connection. */
export interface GuestRequest {
  readonly instance: Instance;
  /** the part of the path that stood for {key}, percent-decoded; '' where there is none */
  readonly parameter: string;
  /** without the question mark */
  readonly query: string;
  readonly body: string;
  readonly conditions: Conditions;
}

export type Handler = (request: GuestRequest) => Reply;

/** One path of the API. {name} stands for one segment. */
export interface Endpoint {
  readonly path: string;
  readonly methods: Readonly<Record<string, Handler>>;
  /** the method whose body is read; no other is */
  readonly reads?: string;
}

const apiVersion = '1.0';

/** The guest API; docs/guest-api.md describes it. HEAD is GET without the body, everywhere. */
export const endpoints: readonly Endpoint[] = [
  { path: '/', methods: { GET: () => json([`/${apiVersion}`]) } },
  { path: '/1.0', methods: { GET: serverInfo, PATCH: setState }, reads: 'PATCH' },
  { path: '/1.0/config', methods: { GET: configList } },
  { path: '/1.0/config/{key}', methods: { GET: configValue } },
  { path: '/1.0/devices', methods: { GET: devices } },
  { path: '/1.0/events', methods: { GET: events } },
  { path: '/1.0/identity', methods: { GET: identity } },
  { path: '/1.0/images/{fingerprint}/export', methods: { GET: imageExport } },
  { path: '/1.0/meta-data', methods: { GET: metaData } },
  { path: '/1.0/ubuntu-pro', methods: { GET: ubuntuPro } },
  { path: '/1.0/ubuntu-pro/token', methods: { POST: () => errors.noProToken } },
];

const serverInfos = {
  lxd: serverInfosWith({ auth: 'untrusted', supported_storage_drivers: [] }),
  incus: serverInfosWith({}), // shared/api/guest/dev_incus.go
};

function serverInfo({ instance }: GuestRequest): Reply {
  return serverInfos[peerOf(instance) ?? 'lxd'][instance.type][instance.guestState];
}

function serverInfosWith(more: object) {
  return { container: serverInfosOf('container', more), 'virtual-machine': serverInfosOf('virtual-machine', more) };
}

function serverInfosOf(type: InstanceType, more: object): Readonly<Record<GuestState, Reply>> {
  const about = { api_version: apiVersion, instance_type: type, location: hostname(), ...more };
  return { Started: json({ state: 'Started', ...about }), Ready: json({ state: 'Ready', ...about }) };
}

/** The guest says how far it has come. */
function setState({ instance, body }: GuestRequest): Reply {
  const given = stateIn(body, peerOf(instance));
  if (typeof given !== 'string') return badRequest(given.sentence);
  if (given !== 'Started' && given !== 'Ready') {
    return badRequest(`Invalid state ${JSON.stringify(given)}`);
  }
  return { kind: 'state', state: given, answer: raw('') };
}

/** Whatever the key says: there are no tokens, and a client that is told of them asks for one at each boot. */
function ubuntuPro(): Reply {
  return json({ guest_attach: 'off' });
}

const guestNamespaces = ['user.', 'cloud-init.'];

/** Of each version of an instance, which never changes: a list of thousands of keys is made once. */
const configLists = new WeakMap<Instance, Reply>();

function configList({ instance }: GuestRequest): Reply {
  const known = configLists.get(instance) ?? configListOf(instance);
  configLists.set(instance, known);
  return known;
}

function configListOf(instance: Instance): Reply {
  const set = [...expandedConfig(instance)]
    .filter(([key, value]) => value !== '' && isGuestKey(key) && !isSshKey(key))
    .map(([key]) => key);
  const keys = [...new Set([...set, ...mergedKeys(instance)])].sort();
  return json(keys.map((key) => `/1.0/config/${key}`));
}

function configValue({ instance, parameter: key }: GuestRequest): Reply {
  const errors = errorsOf(instance.source);
  if (!isGuestKey(key)) return errors.forbidden;
  const value = guestValue(instance, key);
  if (!value) return errors.notFound;
  const reason = unmergedKeys(instance).get(key);
  return reason === undefined
    ? raw(value)
    : { ...raw(value), reached: { limit: 'merged-document', about: { key, reason } } };
}

function isGuestKey(key: string): boolean {
  return guestNamespaces.some((space) => key.startsWith(space));
}

function devices({ instance }: GuestRequest): Reply {
  const config = expandedConfig(instance);
  const entries = [...expandedDevices(instance)].sort(byName).map(([name, device]) => {
    const hwaddr = config.get(`volatile.${name}.hwaddr`);
    const addsAddress = device.get('type') === 'nic' && !device.get('hwaddr') && hwaddr !== undefined;
    return [name, sortedObject(addsAddress ? new Map(device).set('hwaddr', hwaddr) : device)] as const;
  });
  return json(Object.fromEntries(entries));
}

function metaData({ instance }: GuestRequest): Reply {
  const config = expandedConfig(instance);
  const id = config.get('volatile.cloud-init.instance-id') ?? '';
  const own = config.get('user.meta-data') ?? '';
  return raw(`#cloud-config\ninstance-id: ${id}\nlocal-hostname: ${instance.name}\n${own}`);
}

/** Whatever is no fingerprint is answered like one that there is no image of, so that a guest cannot probe. */
function imageExport({ instance, parameter, conditions }: GuestRequest): Reply {
  const errors = errorsOf(instance.source);
  if (!flag(instance, 'security.devlxd.images', false)) return errors.imagesForbidden;
  return fingerprintPattern.test(parameter)
    ? { kind: 'export', fingerprint: parameter, conditions }
    : errors.noSuchImage(parameter);
}

/** Which instance the guest is, for another service. */
function identity({ instance, query }: GuestRequest): Reply {
  if (!flag(instance, 'security.devlxd.identity', true)) return errorsOf(instance.source).forbidden;
  const wanted = identityRequestIn(query);
  return typeof wanted === 'string' ? badRequest(wanted) : { kind: 'identity', ...wanted };
}

/** Types that never occur are taken and ignored, as LXD does. */
function events({ instance, query }: GuestRequest): Reply {
  const parameters = new URLSearchParams(query);
  const since = parameters.get('since') ?? undefined;
  if (since !== undefined && !timestampPattern.test(since)) return errorsOf(instance.source).badRequest;
  const wanted = parameters.get('type');
  return { kind: 'events', types: sharedSet(wanted ? wanted.split(',') : eventTypes), since };
}

const eventTypes: readonly EventType[] = ['config', 'device'];

/** One for all listeners that hear of the same: there are thousands. */
const sharedSets = new Map<string, ReadonlySet<EventType>>();

function sharedSet(wanted: readonly string[]): ReadonlySet<EventType> {
  const types = eventTypes.filter((type) => wanted.includes(type));
  const key = types.join();
  const shared = sharedSets.get(key) ?? new Set(types);
  sharedSets.set(key, shared);
  return shared;
}

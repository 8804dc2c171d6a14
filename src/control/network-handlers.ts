import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Network } from '../api/types.js';
import { Fault } from '../errors.js';
import { type ControlHandler, sync } from './control-reply.js';
import { filterOf, readerOf } from './filter.js';

const directory = '/sys/class/net';

/** GET /1.0/networks: the interfaces of the host, none of which devlxd manages. */
export const listNetworks: ControlHandler = ({ query }) => {
  const matches = filterOf(query);
  const networks = namesOfInterfaces()
    .map(render)
    .filter((network) => matches?.(readerOf(network)) ?? true);
  if ((query.get('recursion') || '0') !== '0') return sync(networks);
  return sync(networks.map(({ name }) => `/1.0/networks/${name}`));
};

/** GET /1.0/networks/{name} */
export const getNetwork: ControlHandler = ({ parameters }) => sync(render(need(parameters['name'] ?? '')));

/** GET /1.0/networks/{name}/state: its addresses (api.NetworkState), as far as Node knows them. */
export const getNetworkState: ControlHandler = ({ parameters }) => {
  const name = need(parameters['name'] ?? '');
  const addresses = networkInterfaces()[name] ?? [];
  return sync({
    addresses: addresses.map(({ family, address, cidr, internal }) => ({
      family: family === 'IPv4' ? 'inet' : 'inet6',
      address,
      netmask: cidr?.split('/')[1] ?? '',
      scope: internal ? 'local' : 'global',
    })),
    counters: null,
    hwaddr: addresses[0]?.mac ?? '',
    state: addresses.length > 0 ? 'up' : 'down',
    type: typeOf(name),
  });
};

function need(name: string): string {
  if (namesOfInterfaces().includes(name)) return name;
  throw new Fault('not-found', `The host has no network interface "${name}"`);
}

/** Without /sys: the interfaces that have an address. */
function namesOfInterfaces(): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return Object.keys(networkInterfaces()).sort();
  }
}

function render(name: string): Network {
  return {
    name,
    description: '',
    type: typeOf(name),
    managed: false,
    status: '',
    config: {},
    used_by: [],
    locations: null,
    project: 'default',
  };
}

/** As LXD names the kinds (lxd/networks.go). */
function typeOf(name: string): string {
  if (name === 'lo') return 'loopback';
  return exists(name, 'bridge') ? 'bridge' : exists(name, 'bonding') ? 'bond' : 'physical';
}

function exists(name: string, kind: string): boolean {
  try {
    readdirSync(`${directory}/${name}/${kind}`);
    return true;
  } catch {
    return false;
  }
}

import { type ControlHandler, sync } from '../control/control-reply.js';
import { architecture } from '../control/render.js';
import { Fault } from '../errors.js';
import type { SeenHost, SeenHosts } from '../fleet/seen-hosts.js';

/** The hosts of a fleet, to LXD's clients: the members of a cluster, none of which has a database. */
export class MemberHandlers {
  readonly #hosts: SeenHosts;

  constructor(hosts: SeenHosts) {
    this.#hosts = hosts;
  }

  readonly cluster: ControlHandler = () => sync({ server_name: '', enabled: true, member_config: [] });

  /** The JWK set that verifies the identity documents of all hosts; docs/identity.md. */
  readonly identityKeys: ControlHandler = () => {
    const all = this.#hosts.list().flatMap(({ identityKeys }) => identityKeys);
    const keys = [...new Map(all.map((key) => [JSON.stringify(key), key])).values()];
    return { kind: 'text', type: 'application/jwk-set+json', text: `${JSON.stringify({ keys }, null, 2)}\n` };
  };

  readonly list: ControlHandler = ({ query }) => {
    const hosts = this.#hosts.list();
    const isFull = (query.get('recursion') || '0') !== '0';
    return sync(isFull ? hosts.map(memberOf) : hosts.map(({ host }) => `/1.0/cluster/members/${host}`));
  };

  readonly get: ControlHandler = ({ parameters }) => {
    const name = parameters['name'] ?? '';
    const host = this.#hosts.known(name);
    if (host === undefined) throw new Fault('not-found', `The fleet has no host "${name}"`);
    return sync(memberOf(host));
  };
}

/** As LXD's API describes one (api.ClusterMember). */
function memberOf({ host, told }: SeenHost): object {
  const message = told === undefined ? 'It tells nothing; its guests are served from what it has' : told.held;
  return {
    server_name: host,
    url: '',
    database: false,
    status: told === undefined ? 'Offline' : told.held === '' ? 'Online' : 'Blocked',
    message: message || 'Fully operational',
    architecture,
    roles: [],
    failure_domain: 'default',
    description: '',
    config: {},
    groups: ['default'],
  };
}

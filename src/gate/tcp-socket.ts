import { Fault } from '../errors.js';
import { addon } from './addon.js';
import { describe } from './failure.js';
import { getSystemErrorName } from './system-error.js';

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it, or choose another port',
  EACCES: 'a port below 1024 needs a privilege: choose another',
  EAFNOSUPPORT: 'the unit of systemd has no network: enable devlxd-metrics.socket instead',
  EADDRNOTAVAIL: 'this host has no such address',
};

/**
 * A listening TCP socket. address: a literal of IPv4 or IPv6
 * @throws Fault socket-in-use or bad-socket
 */
export function listenTcp(address: string, port: number, backlog: number): number {
  const result = addon.listenTcp(address, port, backlog);
  if (typeof result === 'number') return result;
  const reason = getSystemErrorName(result.errno) ?? '';
  const hint = hints[reason] ?? describe(result);
  throw new Fault(
    reason === 'EADDRINUSE' ? 'socket-in-use' : 'bad-socket',
    `Cannot listen on ${address} port ${port} (--metrics-listen): ${hint}.`,
  );
}

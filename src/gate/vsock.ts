import { Fault } from '../errors.js';
import { addon } from './addon.js';
import { describe } from './failure.js';
import { getSystemErrorName } from './system-error.js';

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it, or choose another port',
  EACCES: 'a port below 1024 needs a privilege: choose another, such as 1234',
  EAFNOSUPPORT:
    'this kernel has no vsock(7) (modprobe vsock), or the unit of systemd does not allow it: enable devlxd-vsock.socket instead',
};

/**
 * A listening socket of vsock(7).
 * @throws Fault socket-in-use or bad-socket
 */
export function listenVsock(port: number, backlog: number): number {
  const result = addon.listenVsock(port, backlog);
  if (typeof result === 'number') return result;
  const reason = getSystemErrorName(result.errno) ?? '';
  const hint = hints[reason] ?? describe(result);
  throw new Fault(
    reason === 'EADDRINUSE' ? 'socket-in-use' : 'bad-socket',
    `Cannot listen on vsock port ${port} (--vsock-port): ${hint}.`,
  );
}

/** The port of a listening socket of vsock(7); 0: it is none. */
export function vsockPortOf(fd: number): number {
  return addon.vsockPort(fd) ?? 0;
}

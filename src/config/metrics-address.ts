import { isIP } from 'node:net';
import { isAbsolute, relative } from 'node:path';
import { socketPaths } from './paths.js';

/** Where the metrics are served: on the loopback interface of this host, or a Unix socket. */
export type MetricsAddress =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** `127.0.0.1:PORT`, `[::1]:PORT` or `unix:PATH`; a sentence when it is none that may be. */
export function metricsAddressIn(text: string, runDir: string): MetricsAddress | string {
  if (text.startsWith('unix:')) return unixIn(text.slice('unix:'.length), runDir);
  const [, four, six, digits = ''] = /^(?:([\d.]+)|\[([\da-fA-F:]+)\]):(\d{1,5})$/.exec(text) ?? [];
  const address = four ?? six ?? '';
  const port = Number(digits);
  if (isIP(address) === 0 || port < 1 || port > 65_535)
    return `takes 127.0.0.1:PORT, [::1]:PORT or unix:/PATH, not "${text}".`;
  if (!/^127\.|^::1$/.test(address))
    return `takes an address that only this host reaches (127.0.0.1 or [::1]), not ${address}: for others, put a proxy with TLS before it, or let devlxd-metrics.socket of systemd listen.`;
  return { kind: 'tcp', address, port };
}

function unixIn(path: string, runDir: string): MetricsAddress | string {
  const { guestDir, control } = socketPaths(runDir);
  if (!isAbsolute(path)) return `takes an absolute path after unix:, not "${path}".`;
  if (relative(control, path) === '') return 'takes another path than that of control.sock.';
  if (!relative(guestDir, path).startsWith('..')) return `takes no path in ${guestDir}, which is mounted into guests.`;
  return { kind: 'unix', path };
}

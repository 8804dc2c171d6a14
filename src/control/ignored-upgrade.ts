import type { IncomingMessage } from 'node:http';
import { takeoverUpgrade } from '../handover/protocol.js';

/** What a connection can become here. */
const known = ['websocket', takeoverUpgrade];

/** Does it ask for a protocol that is spoken here? Any other one is to be ignored (RFC 9110, 7.8). */
export function asksForKnown({ headers: { upgrade = '' } }: IncomingMessage): boolean {
  const named = upgrade.toLowerCase().split(',');
  return named.some((protocol) => known.includes(protocol.trim()));
}

/** The head of the same request as it is without that wish, to be read again. */
export function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
    if (/^upgrade$/i.test(name)) continue;
    lines.push(`${name}: ${/^connection$/i.test(name) ? withoutToken(value) : value}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function withoutToken(connection: string): string {
  const tokens = connection.split(',').map((token) => token.trim());
  return tokens.filter((token) => !/^upgrade$/i.test(token)).join(', ');
}

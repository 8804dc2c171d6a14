import { isUtf8 } from 'node:buffer';

/** The key, as it is written, of the first pair of a query with bytes that are no UTF-8: URLSearchParams replaces them. */
export function lostKeyIn(query: string): string | undefined {
  if (!query.includes('%')) return undefined;
  const isLost = (pair: string) => [...pair.matchAll(/(?:%[\da-f]{2})+/gi)].some(([escaped]) => !isText(escaped));
  return query.replace(/^\?/, '').split('&').find(isLost)?.split('=', 1)[0];
}

function isText(escaped: string): boolean {
  return isUtf8(Buffer.from(escaped.replaceAll('%', ''), 'hex'));
}

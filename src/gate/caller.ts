/**
 * Whose a connection is. A small integer, so that a request costs no allocation: `slotOf`, `isRoot` and `httpVersionOf` read it.
 * Negative: `unregistered` (its namespace was not registered in time) or `unidentified` (it never will be).
 */
export type Caller = number & { readonly caller: unique symbol };

export const unregistered = -1;
export const unidentified = -2;
export const noConnection = -3;

/** Only for a caller >= 0. */
export function slotOf(caller: Caller): number {
  return caller >> 3;
}

/** How its request may be answered: HTTP/1.0 knows no chunks, and closes the connection unless the client asks otherwise. */
export type HttpVersion = '1.1' | '1.0' | '1.0, kept alive';

const httpVersions: readonly HttpVersion[] = ['1.1', '1.0', '1.0, kept alive'];

/** 1.1 for a caller < 0. */
export function httpVersionOf(caller: Caller): HttpVersion {
  return (caller < 0 ? undefined : httpVersions[(caller >> 1) & 3]) ?? '1.1';
}

/** Is it uid 0 of its instance? Only for a caller >= 0. */
export function isRoot(caller: Caller): boolean {
  return (caller & 1) === 1;
}

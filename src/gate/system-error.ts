import { getSystemErrorMap } from 'node:util';

/** EADDRINUSE for 98. errno: as C has it, positive. */
export function getSystemErrorName(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
}

/** "address already in use" for 98. */
export function getSystemErrorMessage(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? 'unknown error';
}

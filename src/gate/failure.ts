import type { Failure } from './addon.js';
import { getSystemErrorMessage, getSystemErrorName } from './system-error.js';

/** A failure in words. */
export function describe({ call, errno }: Failure): string {
  return `${call}: ${getSystemErrorMessage(errno)} (${getSystemErrorName(errno)})`;
}

/** @throws Error, when the call failed */
export function check(failure: Failure, doing: string): void {
  if (failure.errno === 0) return;
  const code = getSystemErrorName(failure.errno);
  throw Object.assign(new Error(`${doing}: ${describe(failure)}`), { code });
}

/** @throws Error, when there is no descriptor */
export function descriptorOf(result: number | Failure, doing: string): number {
  if (typeof result === 'number') return result;
  throw new Error(`${doing}: ${describe(result)}`);
}

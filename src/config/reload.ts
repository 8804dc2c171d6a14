import { isDeepStrictEqual } from 'node:util';
import type { LimitName } from '../limits/limits.js';
import { allOptions, type Settings } from './options.js';

const limitPrefix = 'limit-';
const changing = ['handover-seconds', 'log-level', 'response-cache'];

/** By option name. */
export interface Changes {
  /** applied, with the new values */
  readonly changed: Readonly<Record<string, unknown>>;
  /** need a restart to change */
  readonly needRestart: readonly string[];
}

/** Applies new settings to a running daemon, where that is possible. */
export function applySettings(settings: Settings, next: Settings): Changes {
  const names = allOptions().map(([name]) => name);
  const different = names.filter((name) => !isDeepStrictEqual(said(settings, name), said(next, name)));
  const { handoverSeconds, logLevel, responseCacheBytes, limits } = next;
  Object.assign(settings, { handoverSeconds, logLevel, responseCacheBytes });
  Object.assign(settings.limits, limits);
  return {
    changed: Object.fromEntries(different.filter(canChange).map((name) => [name, said(next, name)])),
    needRestart: different.filter((name) => !canChange(name)),
  };
}

function canChange(name: string): boolean {
  return changing.includes(name) || name.startsWith(limitPrefix);
}

/** log-level -> logLevel, limit-pending-callers -> limits['pending-callers'] */
function said({ limits, ...others }: Settings, name: string): unknown {
  if (name.startsWith(limitPrefix)) return limits[name.slice(limitPrefix.length) as LimitName];
  return others[name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()) as keyof typeof others];
}

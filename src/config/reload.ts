import { isDeepStrictEqual } from 'node:util';
import type { LimitName } from '../limits/limits.js';
import { allOptions, type Settings } from './options.js';

const limitPrefix = 'limit-';

/** By option name. */
export interface Changes {
  /** what holds from now on */
  readonly changed: Readonly<Record<string, unknown>>;
  /** what stays as it is while the daemon runs */
  readonly needRestart: readonly string[];
}

/** Lets the settings of a daemon that runs say what the new ones say, where that is possible. */
export function adopt(settings: Settings, next: Settings): Changes {
  const names = allOptions().map(([name]) => name);
  const different = names.filter((name) => !isDeepStrictEqual(said(settings, name), said(next, name)));
  const { logLevel, responseCacheBytes, limits } = next;
  Object.assign(settings, { logLevel, responseCacheBytes });
  Object.assign(settings.limits, limits);
  return {
    changed: Object.fromEntries(different.filter(canChange).map((name) => [name, said(next, name)])),
    needRestart: different.filter((name) => !canChange(name)),
  };
}

function canChange(name: string): boolean {
  return name === 'log-level' || name === 'response-cache' || name.startsWith(limitPrefix);
}

/** log-level -> logLevel, limit-pending-callers -> limits['pending-callers'] */
function said({ limits, ...others }: Settings, name: string): unknown {
  if (name.startsWith(limitPrefix)) return limits[name.slice(limitPrefix.length) as LimitName];
  return others[name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()) as keyof typeof others];
}

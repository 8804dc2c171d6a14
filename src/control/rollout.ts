import { invalid } from '../errors.js';
import { checkedRollout } from '../instances/profile-table.js';
import type { Profile, Rollout } from '../model/instance.js';

/**
 * How the hosts of a fleet are to take a change of a profile.
 * @returns undefined: at once
 * @throws Fault invalid-value
 */
export type RolloutOf = (query: URLSearchParams, before: Profile) => Rollout | undefined;

/** Of a daemon, which is one host. */
export const noRollout: RolloutOf = (query) => {
  for (const name of ['waves', 'wave-seconds', 'rollout'])
    if (query.has(name)) throw invalid(name, 'only the hosts of a fleet take changes in waves (docs/fleet.md)');
  return undefined;
};

/** ?waves=N&wave-seconds=S, and later ?rollout=stop or ?rollout=resume. */
export const rolloutIn: RolloutOf = (query, { name, rollout }) => {
  const asked = query.get('rollout');
  if (asked !== null) {
    if (asked !== 'stop' && asked !== 'resume') throw invalid('rollout', 'takes stop or resume');
    if (rollout === undefined) throw invalid('rollout', `the profile "${name}" is not being taken in waves`);
    return { ...rollout, stopped: asked === 'stop' };
  }
  const waves = query.get('waves');
  if (waves === null) return undefined;
  return checkedRollout({ waves: Number(waves), seconds: Number(query.get('wave-seconds')), stopped: false });
};

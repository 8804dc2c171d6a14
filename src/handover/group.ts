import { chownSync } from 'node:fs';
import { OptionError } from '../config/options.js';

/** @throws OptionError, when --group is no number */
export function giveToGroup(path: string, group: string): void {
  const gid = Number(group);
  if (!Number.isInteger(gid)) throw new OptionError(`--group takes the number of a group, not "${group}".`);
  chownSync(path, -1, gid);
}

import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { packageRoot } from '../../src/package-root.js';

const asRoot = process.getuid?.() === 0;

/** Why another user cannot run what is in this checkout, as below a home of mode 0700; false: it can. */
export const othersCannotRead = reasonOf(closed(packageRoot, 0o005));

/** For tests that become another user. */
export const becomesAnotherUser = { skip: asRoot ? othersCannotRead : 'needs root, to become another user' };

/** For guests that run programs of this checkout: those of root are other users of the host. */
export const guestsCannotRead = asRoot ? othersCannotRead : false;

function reasonOf(directory: string | undefined): string | false {
  return directory === undefined
    ? false
    : `other users may not enter ${directory}: chmod o+rx, or a checkout elsewhere`;
}

/** The first directory of the path, from its end, that others may not use; bits: what they need of the last */
function closed(path: string, bits: number): string | undefined {
  if ((statSync(path).mode & bits) !== bits) return path;
  return path === '/' ? undefined : closed(dirname(path), 0o001);
}

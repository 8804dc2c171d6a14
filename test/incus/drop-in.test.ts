import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';
import { dropIn } from '../lxd/drop-in.js';
import { incus } from '../lxd/flavour.js';

const unpacked = join(packageRoot, 'build/unpacked/incusd-bookworm-backports');

if (process.env['DEVLXD_ROUNDS'] !== undefined)
  dropIn(incus('bookworm-backports', ['libcowsql0', 'libraft0']), unpacked);
else process.stdout.write('# the drop-in for Incus is left to npm run test:incus\n');

import { dropIn } from './drop-in.js';
import { lxd } from './flavour.js';

if (process.env['DEVLXD_ROUNDS'] !== undefined) dropIn(lxd);
else process.stdout.write('# the drop-in for LXD is left to npm run test:lxd\n');

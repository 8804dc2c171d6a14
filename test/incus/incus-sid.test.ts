// The real Incus of Debian's sid, with the libraries that it was built with. npm run test:incus
import { incus } from '../lxd/flavour.js';
import { life } from '../lxd/life.js';
import { differences } from './differences.js';

const libraries =
  'libcowsql0 libraft0 liblxc1t64 liblxc-common libc6 libcap2 libacl1 libsqlite3-0 libudev1 libgcc-s1 ' +
  'libseccomp2 libselinux1 libapparmor1 libpcre2-8-0 libuv1t64 liblz4-1';

if (process.env['DEVLXD_ROUNDS'] !== undefined)
  await life(incus('sid', libraries.split(' ')), '### What changes for guests of Incus', differences);
else process.stdout.write('# Incus of sid is left to npm run test:incus\n');

// The real Incus 6.0.4, of Debian's bookworm-backports, with real containers of it. npm run test:incus
import { incus } from '../lxd/flavour.js';
import { life } from '../lxd/life.js';
import { differences } from './differences.js';

await life(
  incus('bookworm-backports', ['libcowsql0', 'libraft0']),
  '### What changes for guests of Incus',
  differences,
);

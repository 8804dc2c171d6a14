// A devlxd for tests: the handler of /1.0/devices throws.
import { endpoints } from '../../src/guest/guest-endpoints.js';

const devices = endpoints.find(({ path }) => path === '/1.0/devices');
Object.assign(devices?.methods ?? {}, {
  GET: () => {
    throw new Error('thrown on purpose');
  },
});

await import('../../src/cli/main.js');

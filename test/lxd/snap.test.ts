// The real LXD as its snap runs it: in a mount namespace and a root of its own. npm run test:lxd
import { snap } from './flavour.js';
import { improvements } from './improvements.js';
import { life } from './life.js';

const sorted = { 'GET /1.0/config': "sorted; LXD's order is another each time" };
const raw = { 'GET /1.0/meta-data': 'it says that it is UTF-8: cloud-init need not guess' };
const listed = Object.fromEntries(Object.entries(improvements).map(([request, { why }]) => [request, why]));

await life(snap, '## What changes for guests', { ...sorted, ...raw, ...listed });

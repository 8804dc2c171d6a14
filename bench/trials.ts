import { devlxd } from './daemon.js';
import { listeners } from './listeners.js';
import { floorIdentify, floorPlain, http, uws } from './peers.js';
import { requestColumns, requests } from './requests.js';
import type { Trial } from './trial.js';

/** devlxd without the answers that it gives again natively: each request reaches JavaScript. */
const unkept = devlxd({ name: 'devlxd-unkept', options: ['--kept-answers', '0'] });

const everyone = [devlxd(), unkept, floorPlain, floorIdentify, uws, http];

/** What is measured. A trial that has a goal has it from DESIGN, section 7. */
export const trials: readonly Trial[] = [
  {
    name: 'keepalive-64',
    about: 'GET /1.0 on 64 kept connections',
    unit: 'requests/s',
    sides: everyone,
    reference: 'floor',
    goal: { of: 'ratio', atLeast: 0.9 },
    columns: requestColumns,
    measure: requests({ mode: 'keepalive', connections: 64, path: '/1.0' }),
  },
  {
    name: 'connect',
    about: 'connect, GET /1.0, close; 16 at a time',
    unit: 'requests/s',
    sides: everyone,
    reference: 'floor-identify',
    goal: { of: 'ratio', atLeast: 0.85 },
    columns: requestColumns,
    measure: requests({ mode: 'connect', connections: 16, path: '/1.0' }),
  },
  {
    name: 'listeners',
    about: 'resident memory for each of 10,000 idle WebSocket listeners of one guest',
    unit: 'KB/listener',
    sides: [devlxd({ options: ['--limit-connections-per-instance', '0'] }), uws],
    reference: 'uws',
    goal: { of: 'value', atMost: 2 },
    freshServers: true,
    columns: ['listeners', 'before MB', 'after MB', 'connecting s'],
    measure: listeners(10_000),
  },
];

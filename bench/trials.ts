import { resolve } from 'node:path';
import { charging } from './charging.js';
import { devlxd } from './daemon.js';
import { signedDocuments } from './documents.js';
import { exports } from './exports.js';
import { fanout, fanoutToAll } from './fanout.js';
import { identity } from './identity.js';
import { instanceMemory } from './instances.js';
import { listeners, listenersInAll } from './listeners.js';
import { noisyNeighbour } from './neighbour.js';
import { applies, beside, lists, starts, storedMemory } from './operators.js';
import { floorFanout, floorIdentify, floorPlain, http, uws } from './peers.js';
import { latency, requestColumns, requests, tailLatency } from './requests.js';
import { scrapedEverySecond } from './scrapes.js';
import { startup } from './startup.js';
import { storm, stormConfig } from './storm.js';
import { type Restartable, type Running, serverShare, type Trial } from './trial.js';
import { batches, writes } from './writes.js';

const config = { 'user.role': 'web', 'cloud-init.user-data': '#cloud-config\npackages: [nginx]\n' };
const options = ['--limit-connections-per-instance', '0'];
const cached = devlxd({ options, config });

/** devlxd without the answers that it gives again natively: each request reaches JavaScript. */
const uncached = [...options, '--response-cache', '0'];
const unkept = devlxd({ name: 'devlxd-unkept', options: uncached, config });

const answeredByJavaScript = [unkept, uws];
const everyone = [cached, unkept, floorPlain, floorIdentify, uws, http];

/** What is measured. A trial that has a goal has it from DESIGN, section 7. */
export const trials: readonly Trial<Running>[] = [
  keepAlive(1),
  keepAlive(8),
  { ...keepAlive(64), goal: { of: 'ratio', atLeast: 0.9 } },
  keepAlive(512),
  {
    name: 'javascript',
    about: 'GET /1.0 on 64 kept connections, each answered by JavaScript',
    unit: 'requests/s',
    sides: answeredByJavaScript,
    reference: uws.name,
    goal: { subject: unkept.name, of: 'ratio', atLeast: 0.85 },
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
    name: 'rate-100000',
    about: 'GET /1.0 at 100,000 requests/s on 64 kept connections, whatever the server does: what 99 % do not exceed',
    unit: 'us',
    sides: [cached, unkept, floorPlain, uws],
    reference: 'floor',
    columns: requestColumns,
    measure: tailLatency({ mode: 'keepalive', connections: 64, path: '/1.0', rate: 100_000 }),
  },
  charging(),
  identity(),
  endpoint('config', '/1.0/config', '["/1.0/config/cloud-init.user-data","/1.0/config/user.role"]\n'),
  endpoint('config-key', '/1.0/config/user.role', 'web'),
  endpoint('devices', '/1.0/devices', '{}\n'),
  endpoint('meta-data', '/1.0/meta-data'),
  heldListeners(1_000),
  heldListeners(5_000),
  { ...heldListeners(10_000), goal: { of: 'value', atMost: 2 } },
  {
    ...heldListeners(15_000),
    about: 'resident memory with 15,000 idle WebSocket listeners of one guest',
    unit: 'MB',
    goal: { of: 'value', atMost: 100 },
    measure: listenersInAll(15_000),
  },
  {
    name: 'fanout',
    about: 'one event to 10,000 WebSocket listeners of one guest, from the first to the last',
    unit: 'ms',
    sides: [cached, floorFanout],
    reference: 'floor',
    goal: { of: 'ratio', atMost: 2 },
    columns: ['listeners', 'first ms', 'bytes each', serverShare],
    measure: fanout(10_000),
  },
  {
    name: 'fanout-instances',
    about: 'one event to the listeners of 10,000 instances, one each, from the first to the last',
    unit: 'ms',
    sides: [devlxd({ announcesToAll: true }), floorFanout],
    reference: 'floor',
    goal: { of: 'ratio', atMost: 2 },
    freshServers: true,
    columns: ['listeners', 'first ms', 'bytes each', serverShare],
    measure: fanoutToAll(10_000),
  },
  {
    name: 'boot-storm',
    about: '5,000 instances boot at once: 8 requests each on new connections',
    unit: 's',
    sides: [devlxd({ config: stormConfig }), floorIdentify],
    reference: floorIdentify.name,
    goal: { of: 'ratio', atMost: 1.5 },
    freshServers: true,
    columns: ['requests/s', 'p50 ms', 'p99 ms', 'max ms', serverShare],
    measure: storm(5_000),
  },
  {
    name: 'instances',
    about: 'median of connect, GET /1.0, close, one at a time, while this many instances run',
    unit: 'us',
    sides: [1, 10, 100, 1_000, 10_000].map((count) => devlxd({ name: `of ${count}`, neighbours: count - 1 })),
    reference: 'of 1',
    goal: { subject: 'of 10000', of: 'ratio', atMost: 1.1 },
    columns: requestColumns,
    measure: latency({ mode: 'connect', connections: 1, path: '/1.0' }),
  },
  instanceMemory(10_000),
  noisyNeighbour(),
  scrapedEverySecond(2_000),
  signedDocuments(),
  startupWith(10_000),
  starts(),
  storedMemory(),
  lists(),
  applies(),
  ...[10_000, 100_000].flatMap((stored) =>
    (['list', 'list-full', 'profiles', 'profile', 'profile-cloud-init', 'apply'] as const).map((work) =>
      beside(work, stored, stored === 10_000 ? 25 : 50),
    ),
  ),
  writes(1, { of: 'ratio', atLeast: 0.5 }),
  writes(256, { of: 'ratio', atLeast: 0.8 }),
  batches(1_000, { of: 'value', atLeast: 20_000 }),
  exports({ readers: 1, megabytes: 64, downloads: 16 }),
  exports({ readers: 16, megabytes: 64, downloads: 64 }),
];

/** The same, and devlxd of another checkout where requests are counted; directory: its, or undefined. */
export function withSide(directory: string | undefined): readonly Trial<Running>[] {
  if (directory === undefined) return trials;
  const program = resolve(directory, 'bin/devlxd');
  const other = devlxd({ name: 'beside', program, options, config });
  const otherUnkept = devlxd({ name: 'beside', program, options: uncached, config });
  return trials.map((trial) => {
    if (trial.sides === everyone) return { ...trial, sides: [...everyone, other] };
    return trial.sides === answeredByJavaScript ? { ...trial, sides: [...trial.sides, otherUnkept] } : trial;
  });
}

function heldListeners(count: number): Trial {
  return {
    name: `listeners-${count}`,
    about: `resident memory for each of ${count.toLocaleString('en-US')} idle WebSocket listeners of one guest`,
    unit: 'KB/listener',
    sides: [cached, uws],
    reference: 'uws',
    freshServers: true,
    columns: ['listeners', 'before MB', 'after MB', 'connecting s'],
    measure: listeners(count),
  };
}

function keepAlive(connections: number): Trial {
  return {
    name: `keepalive-${connections}`,
    about: `GET /1.0 on ${connections} kept ${connections === 1 ? 'connection' : 'connections'}`,
    unit: 'requests/s',
    sides: everyone,
    reference: 'floor',
    columns: requestColumns,
    measure: requests({ mode: 'keepalive', connections, path: '/1.0' }),
  };
}

/** No peer has these answers, so devlxd is measured against itself. body: left out where it tells the instance */
function endpoint(name: string, path: string, body?: string): Trial {
  return {
    name,
    about: `GET ${path} on 64 kept connections`,
    unit: 'requests/s',
    sides: [cached, unkept],
    reference: unkept.name,
    columns: requestColumns,
    measure: requests({ mode: 'keepalive', connections: 64, path, ...(body === undefined ? {} : { body }) }),
  };
}

function startupWith(stored: number): Trial<Restartable> {
  return {
    name: 'start-up',
    about: `from the start of the process to the first answer, with ${stored.toLocaleString('en-US')} instances stored`,
    unit: 's',
    sides: [devlxd({ stored }), devlxd({ name: 'devlxd-empty' })],
    reference: 'devlxd-empty',
    goal: { of: 'value', atMost: 1 },
    columns: ['ready s'],
    measure: startup,
  };
}

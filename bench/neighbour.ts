import { devlxd } from './daemon.js';
import { GuestLoad } from './guest-load.js';
import { requestColumns, tailLatency } from './requests.js';
import { type Side, stoppedBy, type Trial } from './trial.js';

/** Longer than any trial; the flood is ended when its server is. */
const floodSeconds = '100000';

/** One guest asks now and then while another sends all it can. */
export function noisyNeighbour(): Trial {
  return {
    name: 'neighbour',
    about: '99 of 100 requests of a guest that asks 200 times a second on new connections, beside one that floods',
    unit: 'us',
    sides: [
      devlxd({ name: 'alone' }),
      besideFlood('beside a flood', ['--limit-requests-per-second', '2000']),
      besideFlood('without the limit'),
    ],
    reference: 'alone',
    columns: requestColumns.filter((name) => name !== 'server us'),
    measure: tailLatency({ mode: 'connect', connections: 4, path: '/1.0', rate: 200 }),
  };
}

/** options: of the daemon */
function besideFlood(name: string, options: readonly string[] = []): Side {
  const side = devlxd({ name, options });
  return {
    name,
    start: async (bench) => {
      const daemon = await side.start(bench);
      const words = ['--path', '/1.0', '--connections', '64', '--seconds', floodSeconds, '--warmup', '0'];
      const flood = await GuestLoad.prepare(bench, daemon, words);
      flood.go();
      return stoppedBy(daemon, async () => {
        await flood.end();
        return daemon.stop();
      });
    },
  };
}

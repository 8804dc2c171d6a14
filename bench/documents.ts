import { dirname } from 'node:path';
import { HostClient } from '../src/client/host-client.js';
import { samplesOf } from '../src/metrics/exposition.js';
import { devlxd } from './daemon.js';
import { GuestLoad } from './guest-load.js';
import { requestColumns, tailLatency } from './requests.js';
import { type Side, stoppedBy, type Trial } from './trial.js';

const guests = 10;
const perSecond = 1000;
const path = '/1.0/identity?audience=https://vault.example';
/** Longer than any trial; the loads are ended when their server is. */
const longSeconds = '100000';

/** One guest asks steadily while others have identity documents signed. */
export function signedDocuments(): Trial {
  const besides = `beside ${perSecond.toLocaleString('en-US')} documents/s`;
  return {
    name: 'documents',
    about: `99 of 100 requests of a guest that asks 2,000 times a second on kept connections, beside ${guests} that have identity documents signed`,
    unit: 'us',
    sides: [devlxd({ name: 'alone' }), signing(besides)],
    reference: 'alone',
    columns: requestColumns,
    measure: tailLatency({ mode: 'keepalive', connections: 8, path: '/1.0', rate: 2000 }),
  };
}

/** With the limit on requests that holds by default. */
function signing(name: string): Side {
  const side = devlxd({ name, options: ['--limit-requests-per-second', '2000'] });
  return {
    name,
    start: async (bench) => {
      const daemon = await side.start(bench);
      const rate = String(perSecond / guests);
      const words = ['--path', path, '--connections', '2', '--rate', rate, '--seconds', longSeconds, '--warmup', '0'];
      const loads: GuestLoad[] = [];
      for (let n = 0; n < guests; n++) loads.push(await GuestLoad.prepare(bench, daemon, words));
      const began = performance.now();
      for (const load of loads) load.go();
      return stoppedBy(daemon, async () => {
        const signed = (await documents(daemon.control)) / ((performance.now() - began) / 1000);
        for (const load of loads) await load.end();
        const few = signed < perSecond * 0.9 ? [`only ${Math.round(signed)} documents a second were signed`] : [];
        return [...few, ...(await daemon.stop())];
      });
    },
  };
}

/** How many have been signed. */
async function documents(control: string): Promise<number> {
  const client = new HostClient(dirname(control));
  const samples = samplesOf(await client.metrics());
  await client.close();
  const isOne = ({ endpoint, status }: Readonly<Record<string, string>>): boolean =>
    endpoint === '/1.0/identity' && status === '200';
  return samples
    .filter(({ name, labels }) => name === 'devlxd_guest_requests_total' && isOne(labels))
    .reduce((sum, { value }) => sum + value, 0);
}

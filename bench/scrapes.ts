import { dirname } from 'node:path';
import { HostClient } from '../src/client/host-client.js';
import { devlxd } from './daemon.js';
import { requestColumns, tailLatency } from './requests.js';
import { type Side, stoppedBy, type Trial } from './trial.js';

const everyMilliseconds = 1000;

/** A guest asks steadily while a scraper reads the metrics of each running instance every second. */
export function scrapedEverySecond(running: number): Trial {
  return {
    name: 'scrapes',
    about: `99 of 100 requests of a guest that asks 2,000 times a second on kept connections, while ${running.toLocaleString('en-US')} instances run`,
    unit: 'us',
    sides: [devlxd({ name: 'not scraped', neighbours: running - 1 }), scraped('scraped', running)],
    reference: 'not scraped',
    goal: { subject: 'scraped', of: 'ratio', atMost: 1.2 },
    columns: requestColumns,
    measure: tailLatency({ mode: 'keepalive', connections: 8, path: '/1.0', rate: 2000 }),
  };
}

function scraped(name: string, running: number): Side {
  const side = devlxd({ name, neighbours: running - 1 });
  return {
    name,
    start: async (bench) => {
      const daemon = await side.start(bench);
      const client = new HostClient(dirname(daemon.control));
      const faults: string[] = [];
      const scrape = (): void => {
        client.metrics({ perInstance: true }).catch((error: Error) => faults.push(`a scrape failed: ${error.message}`));
      };
      const timer = setInterval(scrape, everyMilliseconds);
      return stoppedBy(daemon, async () => {
        clearInterval(timer);
        await client.close();
        return [...faults, ...(await daemon.stop())];
      });
    },
  };
}

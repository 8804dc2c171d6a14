import { busyWhile } from './cpu.js';
import { Crowd } from './crowd.js';
import { type Bench, type Sample, type Server, serverShare } from './trial.js';

/** What the guests of a boot storm are configured with: what cloud-init asks for is there. */
export const stormConfig = {
  'cloud-init.network-config': 'version: 2\n',
  'cloud-init.user-data': '#cloud-config\npackages: [nginx]\n',
  'cloud-init.vendor-data': '#cloud-config\n{}\n',
  'user.role': 'web',
};

/** As its LXD data source asks, each on a connection of its own. */
const cloudInit = [
  '/1.0/meta-data',
  '/1.0/config',
  ...Object.keys(stormConfig).map((key) => `/1.0/config/${key}`),
  '/1.0/devices',
  '/1.0',
];

/** Measures the seconds until all instances of a boot storm have their answers. */
export function storm(instances: number): (bench: Bench, server: Server) => Promise<Sample> {
  return async (bench, server) => {
    const count = Math.ceil(instances * bench.plan.scale);
    const words = ['--socket', server.socket, ...cloudInit.flatMap((path) => ['--path', path])];
    const crowd = await Crowd.spawn(bench, count, words);
    try {
      await server.admit(crowd.pids);
      const [report, busy] = await busyWhile(server.pid, () => crowd.storm());
      const { seconds, requests, mismatches, errors, latencyMicroseconds: latency } = report;
      const right = requests === count * cloudInit.length && mismatches === 0 && errors === 0;
      return {
        value: seconds,
        also: {
          'requests/s': requests / seconds,
          'p50 ms': latency.p50 / 1000,
          'p99 ms': latency.p99 / 1000,
          'max ms': latency.max / 1000,
          [serverShare]: busy * 100,
        },
        faults: right ? [] : [`${requests} right answers, ${mismatches} wrong ones, ${errors} errors`],
        notes: count < instances ? [`${count} instances instead of ${instances}`] : [],
      };
    } finally {
      await crowd.end();
    }
  };
}

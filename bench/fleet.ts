// npm run bench:fleet: simulated hosts follow three real members of etcd on this machine, each with the two watches of a
// devlxd; and one real devlxd has many instances. What it prints is a table in Markdown.
import { cpus, loadavg } from 'node:os';
import { Command } from 'commander';
import { Etcd } from '../test/support/etcd.js';
import { type Simulation, simulate } from './fleet-hosts.js';
import { onOneHost, operators } from './fleet-processes.js';

const program = new Command('npm run bench:fleet --')
  .option('--hosts <n>', 'simulated hosts', Number, 2000)
  .option('--instances <n>', 'of each of them', Number, 20)
  .option('--connections <n>', 'to etcd, of all of them', Number, 12)
  .option('--on-one <n>', 'instances of the real host', Number, 10_000)
  .parse();
const { onOne, ...simulation } = program.opts<Simulation & { onOne: number }>();

const etcd = await Etcd.start({ members: 3 });
try {
  const load = loadavg()[0]?.toFixed(1);
  process.stdout.write(
    `${cpus().length} cores, load ${load}; ${etcd.does('version').split('\n')[0]}, 3 members on it\n\n`,
  );
  process.stdout.write('| | took | CPU of etcd | memory of each member |\n|---|---|---|---|\n');
  await simulate(etcd, simulation);
  process.stdout.write('\n| | until its guests would know | memory of devlxd |\n|---|---|---|\n');
  await onOneHost(etcd, onOne);
  await operators(etcd);
} finally {
  await etcd.remove();
}

import type { Command } from 'commander';
import { OptionError } from '../config/options.js';
import type { HostShown } from '../fleet/fleet-hosts.js';
import { addAddHost } from './fleet-add-host.js';
import { etcdSettingIn, withEtcd } from './fleet-client.js';
import { addFleetImage } from './fleet-image.js';
import { addFleetServe } from './fleet-serve.js';
import { formatOption, printList } from './output.js';
import type { Column } from './table.js';
import { perform } from './with-client.js';

/** devlxd fleet */
export function addFleet(program: Command): void {
  const command = program
    .command('fleet')
    .description('the hosts of a fleet, and what concerns more than one of them')
    .addHelpText('after', '\nExample:\n  devlxd fleet hosts --fleet etcd1:2379,etcd2:2379');
  addHosts(command);
  addMove(command);
  addRollout(command);
  addFleetImage(command);
  addAddHost(command);
  addFleetServe(command);
}

const columns: readonly Column<HostShown>[] = [
  { heading: 'HOST', value: ({ host }) => host },
  { heading: 'STATE', value: ({ state }) => state },
  { heading: 'AWAY FOR', value: ({ state, age }) => (state === 'away' ? ageText(age) : '') },
  { heading: 'INSTANCES', value: ({ instances }) => String(instances) },
  { heading: 'RUNNING', value: ({ running }) => String(running) },
  { heading: 'WAVES', value: ({ later }) => later.map(waveText).join(', ') },
  { heading: 'REFUSED', value: ({ refused }) => String(refused.length) },
  { heading: 'VERSION', value: ({ version }) => version },
];

function addHosts(parent: Command): void {
  const command = parent
    .command('hosts')
    .description('which hosts there are, and whether each has everything that is put for it')
    .addOption(formatOption())
    .addHelpText('after', '\nExample:\n  DEVLXD_FLEET=etcd1:2379 devlxd fleet hosts --format json');
  command.action(async () => {
    const [{ hostsOf }, { FleetKeys }] = await Promise.all([
      import('../fleet/fleet-hosts.js'),
      import('../fleet/fleet-keys.js'),
    ]);
    const setting = etcdSettingIn(command);
    const hosts = await withEtcd(setting, (connection) => hostsOf(connection, new FleetKeys(setting.prefix)));
    await printList(command, columns, hosts, 'There are no hosts yet; docs/fleet.md says how one joins.');
  });
}

function addMove(parent: Command): void {
  const command = parent
    .command('move')
    .description('give a stopped instance to another host; it keeps its identity and addresses')
    .argument('<instance>', 'instance')
    .argument('<host>', 'host that is to have it')
    .addHelpText('after', '\nExample:\n  devlxd fleet move web1 host2');
  command.action((name: string, host: string) =>
    perform(command, (client) => client.instances.move(name, host), { instance: name, target: host }),
  );
}

/** A host notes every two minutes that it is there. */
function ageText(seconds: number | null): string {
  if (seconds === null) return '';
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
  ] as const;
  const unit = units.find(([, length]) => seconds >= length);
  return unit === undefined ? `${seconds} s` : `${Math.floor(seconds / unit[1])} ${unit[0]}`;
}

/** default/web 2/4 */
function waveText({ name, wave, waves, stopped }: HostShown['later'][number]): string {
  return `${name.replace('profile ', '')} ${wave}/${waves}${stopped ? ' (stopped)' : ''}`;
}

function addRollout(parent: Command): void {
  const command = parent
    .command('rollout')
    .description('halt a change of a profile that is taken in waves, or let it go on')
    .argument('<profile>', 'profile')
    .option('--stop', 'hosts whose turn has not come keep what they have')
    .option('--resume', 'they take it after all, in their waves, counted from now')
    .addHelpText('after', '\nExample:\n  devlxd fleet rollout web --stop');
  command.action((name: string, { stop, resume }: { stop?: true; resume?: true }) => {
    if (stop === resume) throw new OptionError('Say either --stop or --resume.');
    return perform(command, (client) =>
      client.profiles.patch(name, {}, undefined, { rollout: stop ? 'stop' : 'resume' }),
    );
  });
}

import { type Command, Option } from 'commander';
import { type EtcdSetting, etcdSettingOf } from '../config/fleet-setting.js';
import { OptionError, optionDeclarations, variableOf } from '../config/options.js';
import { Fault } from '../errors.js';
import type { EtcdConnection } from '../etcd/etcd-connection.js';
import type { HostShown } from '../fleet/fleet-hosts.js';
import { formatOption, printList } from './output.js';
import type { Column } from './table.js';

const connecting = ['etcd-prefix', 'etcd-ca', 'etcd-cert', 'etcd-key'] as const;

/** devlxd fleet */
export function addFleet(program: Command): void {
  const command = program
    .command('fleet')
    .description('the hosts of a fleet, as its etcd knows them')
    .addHelpText('after', '\nExample:\n  devlxd fleet hosts --fleet etcd1:2379,etcd2:2379');
  addHosts(command);
}

const columns: readonly Column<HostShown>[] = [
  { heading: 'HOST', value: ({ host }) => host },
  { heading: 'STATE', value: ({ state }) => state },
  { heading: 'INSTANCES', value: ({ instances }) => String(instances) },
  { heading: 'RUNNING', value: ({ running }) => String(running) },
  { heading: 'REFUSED', value: ({ refused }) => String(refused.length) },
  { heading: 'VERSION', value: ({ version }) => version },
];

function addHosts(parent: Command): void {
  const command = parent
    .command('hosts')
    .description('which hosts there are, and whether each has everything that is put for it')
    .addOption(
      new Option('--fleet <endpoints>', 'members of etcd: HOST:PORT,... [DEVLXD_FLEET]').default(
        process.env['DEVLXD_FLEET'] || optionDeclarations['etcd-endpoints'].default,
      ),
    )
    .addOption(formatOption())
    .addHelpText('after', '\nExample:\n  DEVLXD_FLEET=etcd1:2379 devlxd fleet hosts --format json');
  for (const name of connecting) {
    const { help, default: byDefault } = optionDeclarations[name];
    const option = new Option(
      `--${name} <${name === 'etcd-prefix' ? 'text' : 'file'}>`,
      `${help} [${variableOf(name)}]`,
    );
    command.addOption(option.default(process.env[variableOf(name)] || byDefault));
  }
  command.action(async () => {
    const [{ hostsOf }, { FleetKeys }] = await Promise.all([
      import('../fleet/fleet-hosts.js'),
      import('../fleet/fleet-keys.js'),
    ]);
    const setting = settingOf(command);
    const hosts = await withEtcd(setting, (connection) => hostsOf(connection, new FleetKeys(setting.prefix)));
    await printList(command, columns, hosts, 'There are no hosts yet; docs/fleet.md says how one joins.');
  });
}

function settingOf(command: Command): EtcdSetting {
  const { fleet: endpoints, etcdPrefix: prefix, etcdCa: ca, etcdCert: cert, etcdKey: key } = command.opts();
  return etcdSettingOf({ endpoints, prefix, ca, cert, key }, (name, sentence) => {
    const option = name === 'endpoints' ? 'fleet' : `etcd-${name}`;
    return new OptionError(`--${option} (${variableOf(option)}) ${sentence}.`);
  });
}

/** Runs work with the first member that does it. */
async function withEtcd<Result>(
  setting: EtcdSetting,
  work: (connection: EtcdConnection) => Promise<Result>,
): Promise<Result> {
  const { EtcdConnection } = await import('../etcd/etcd-connection.js');
  const failed: string[] = [];
  for (const endpoint of setting.endpoints) {
    const connection = new EtcdConnection(endpoint, setting);
    try {
      return await work(connection);
    } catch (error) {
      failed.push(`${endpoint}: ${(error as Error).message}`);
    } finally {
      connection.close();
    }
  }
  throw new Fault('no-daemon', `No member of etcd answers: ${failed.join('; ')}. Name them with --fleet HOST:PORT,...`);
}

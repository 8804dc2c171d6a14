import type { Command } from 'commander';
import { formatOption, printOne } from './output.js';
import { withClient } from './with-client.js';

/** devlxd show */
export function addShow(program: Command): void {
  const command = program
    .command('show')
    .description('show one instance: its state, profiles, configuration and devices')
    .argument('<instance>', 'instance')
    .option('--expanded', 'with what its profiles add: what the guest sees')
    .addOption(formatOption('yaml'))
    .addHelpText('after', '\nExamples:\n  devlxd show web1\n  devlxd show web1 --expanded --format table');
  command.action((name: string, { expanded }: { expanded?: true }) =>
    withClient(
      command,
      async (client) => {
        const { status, state, created_at, project, type, profiles, ...shown } =
          await client.instances.getWithState(name);
        const config = expanded ? shown.expanded_config : shown.config;
        const devices = expanded ? shown.expanded_devices : shown.devices;
        const { description, location } = shown;
        await printOne(command, {
          name,
          description,
          project,
          type,
          status,
          ...(location === 'none' ? { pid: state.pid } : { location }),
          created_at,
          profiles,
          config,
          devices,
        });
      },
      { instance: name },
    ),
  );
}

import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { withClient } from './client.js';
import { print } from './output.js';

/** devlxd show */
export function addShow(program: Command): void {
  const command = program
    .command('show')
    .description('show one instance: its state, configuration and devices')
    .argument('<name>', 'instance')
    .addOption(new Option('--format <format>', 'how').choices(['yaml', 'json']).default('yaml'))
    .addHelpText('after', '\nExample:\n  devlxd show web1');
  command.action((name: string) =>
    withClient(command, async (client) => {
      const { status, state, config, devices, created_at, project } = await client.instance(name);
      const shown = { name, project, status, pid: state?.pid ?? 0, created_at, config, devices };
      print(command.getOptionValue('format') === 'json' ? JSON.stringify(shown) : stringify(shown).trimEnd());
    }),
  );
}

import type { Command } from 'commander';
import { instancePath, perform } from './client.js';

/** devlxd delete */
export function addDelete(program: Command): void {
  const command = program
    .command('delete')
    .description('forget a stopped instance and all of its configuration')
    .argument('<name>', 'instance')
    .addHelpText('after', '\nExample:\n  devlxd delete web1');
  command.action((name: string) => perform(command, (client) => client.request('DELETE', instancePath(name))));
}

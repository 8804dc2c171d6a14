import type { Command } from 'commander';
import { perform } from './with-client.js';

/** devlxd delete */
export function addDelete(program: Command): void {
  const command = program
    .command('delete')
    .description('forget a stopped instance and all of its configuration')
    .argument('<instance>', 'instance')
    .addHelpText('after', '\nExample:\n  devlxd delete web1');
  command.action((name: string) => perform(command, (client) => client.instances.delete(name), { instance: name }));
}

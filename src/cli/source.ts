import type { Command } from 'commander';
import type { FollowedFleet } from '../api/types.js';
import { formatOption, print, printOne } from './output.js';
import { withHost } from './with-client.js';

/** devlxd source */
export function addSource(program: Command): void {
  const command = program
    .command('source')
    .description('what this host follows of its fleet, and what of it is not applied')
    .addHelpText('after', '\nExamples:\n  devlxd source show\n  devlxd source accept');
  addShow(command);
  addAccept(command);
}

function addShow(parent: Command): void {
  const command = parent
    .command('show')
    .description('is etcd there, how far is this host, what is held back, which values are refused and why')
    .addOption(formatOption())
    .addHelpText('after', '\nExample:\n  devlxd source show --format json');
  command.action(() =>
    withHost(command, async (client) =>
      printOne(command, (await client.request('GET', '/1.0/source')) as FollowedFleet),
    ),
  );
}

function addAccept(parent: Command): void {
  const command = parent
    .command('accept')
    .description('apply what etcd says now, although most of it is gone or it is another etcd; what runs goes on')
    .addHelpText('after', '\nLook at "devlxd source show" and at etcd first.\n\nExample:\n  devlxd source accept');
  command.action(() =>
    withHost(command, async (client) => {
      const { accepted } = (await client.request('POST', '/1.0/source/accept')) as { accepted: string };
      print(`accepted: ${accepted}`);
    }),
  );
}

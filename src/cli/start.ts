import { type Command, InvalidArgumentError } from 'commander';
import { withHost } from './with-client.js';

/** devlxd start */
export function addStart(program: Command): void {
  const command = program
    .command('start')
    .description('tell the daemon that an instance runs: from now on its guests are answered')
    .argument('<instance>', 'instance')
    .requiredOption(
      '--pid <pid>',
      'pid of its init, as the host sees it; of a virtual machine: what connects for it',
      numberOf,
    )
    .option('--cid <cid>', 'of a virtual machine with vsock of the kernel: its context id', numberOf)
    .addHelpText(
      'after',
      `
Examples:
  devlxd start web1 --pid 4711
  devlxd start web1 --pid "$(lxc-info -n web1 -pH)"
  devlxd start db1 --pid "$(cat /run/vm/db1.pid)" --cid 42
An init says it of itself with the pid that the host sees ($$ is 1 there), a VMM with $$:
  unshare -fp sh -c 'read pid _ </proc/self/stat; devlxd start web1 --pid $pid'
  sh -c 'devlxd start db1 --pid $$; exec VMM'`,
    );
  command.action((name: string, { pid, cid }: { pid: number; cid?: number }) =>
    withHost(command, (client) => client.instances.start(name, pid, cid)),
  );
}

/** devlxd stop */
export function addStop(program: Command): void {
  const command = program
    .command('stop')
    .description('tell the daemon that an instance runs no longer; its processes are not touched')
    .argument('<instance>', 'instance')
    .addHelpText('after', '\nExample:\n  devlxd stop web1');
  command.action((name: string) => withHost(command, (client) => client.instances.stop(name)));
}

function numberOf(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('It is a number, such as 4711.');
  return Number(text);
}

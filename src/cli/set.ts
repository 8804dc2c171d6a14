import type { Command } from 'commander';
import { valuesHelp, valuesIn } from './key-values.js';
import { waitForHosts, waitOption } from './wait.js';
import { perform } from './with-client.js';

/** devlxd create and devlxd set */
export function addSet(program: Command): void {
  const create = program
    .command('create')
    .description('describe a new instance; it is stopped until "devlxd start"')
    .argument('<name>', 'instance')
    .argument('[key=value...]', 'its configuration')
    .option('--vm', 'a virtual machine, and not a container; docs/vm.md')
    .option('--target <host>', 'of a fleet: the host that is to have it; none: one with few')
    .addOption(waitOption())
    .addHelpText(
      'after',
      `${valuesHelp}

Examples:
  devlxd create web1 user.role=web
  devlxd create --vm db1 security.devlxd.nonroot=true`,
    );
  create.action((name: string, pairs: string[], { vm, target }: { vm?: true; target?: string }) =>
    perform(
      create,
      async (client) => {
        const type = vm ? 'virtual-machine' : 'container';
        await client.instances.create({ name, type, config: valuesIn(pairs) }, target);
        await waitForHosts(create, client, { instance: name });
      },
      { instance: name, target: target ?? '' },
    ),
  );
  const set = program
    .command('set')
    .description('set configuration keys of an instance; its guest gets an event for each user.* key')
    .argument('<instance>', 'instance')
    .argument('<key=value...>', 'keys to set, all at once or none; or one key and its value')
    .addOption(waitOption())
    .addHelpText(
      'after',
      `${valuesHelp}

Examples:
  devlxd set web1 user.role=db
  devlxd set web1 cloud-init.user-data=@user-data.yaml user.generation=2
  generate-user-data | devlxd set web1 cloud-init.user-data -`,
    );
  set.action((name: string, pairs: string[]) =>
    perform(
      set,
      async (client) => {
        await client.instances.patch(name, { config: valuesIn(pairs) });
        await waitForHosts(set, client, { instance: name });
      },
      { instance: name },
    ),
  );
}

/** devlxd unset */
export function addUnset(program: Command): void {
  const command = program
    .command('unset')
    .description('remove configuration keys of an instance')
    .argument('<instance>', 'instance')
    .argument('<key...>', 'keys to remove; all at once or none')
    .addOption(waitOption())
    .addHelpText('after', '\nExample:\n  devlxd unset web1 user.role');
  command.action((name: string, keys: string[]) =>
    perform(
      command,
      async (client) => {
        const config = Object.fromEntries(keys.map((key) => [key, '']));
        await client.instances.patch(name, { config });
        await waitForHosts(command, client, { instance: name });
      },
      { instance: name },
    ),
  );
}

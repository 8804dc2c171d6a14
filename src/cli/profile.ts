import type { Command } from 'commander';
import type { Profile } from '../api/types.js';
import { valuesHelp, valuesIn } from './key-values.js';
import { formatOption, printList, printOne } from './output.js';
import type { Column } from './table.js';
import { waitForHosts, waitOption } from './wait.js';
import { perform, withClient } from './with-client.js';

const columns: readonly Column<Profile>[] = [
  { heading: 'NAME', value: ({ name }) => name },
  { heading: 'KEYS', value: ({ config }) => String(Object.keys(config).length) },
  { heading: 'DEVICES', value: ({ devices }) => String(Object.keys(devices).length) },
  { heading: 'USED BY', value: ({ used_by }) => String(used_by.length) },
  { heading: 'DESCRIPTION', value: ({ description }) => description },
];

/** devlxd profile list|show|create|set|unset|delete|assign */
export function addProfile(program: Command): void {
  const profile = program
    .command('profile')
    .description('what several instances have in common')
    .addHelpText(
      'after',
      '\nExamples:\n  devlxd profile create web user.role=web\n  devlxd profile assign web1 default web',
    );
  addProfileList(profile);
  addProfileShow(profile);
  addProfileCreate(profile);
  addProfileSet(profile);
  addProfileUnset(profile);
  addProfileAssign(profile);
  addProfileDelete(profile);
}

function addProfileList(profile: Command): void {
  const command = profile
    .command('list')
    .description('show all profiles')
    .option('--filter <clauses>', 'only profiles that match; docs/host-api.md')
    .addOption(formatOption())
    .addHelpText('after', '\nExample:\n  devlxd profile list --format csv');
  command.action((options: { filter?: string }) =>
    withClient(command, async (client) => {
      await printList(command, columns, await client.profiles.list(options), 'There are no such profiles.');
    }),
  );
}

function addProfileShow(profile: Command): void {
  const command = profile
    .command('show')
    .description('show one profile, and the instances that use it')
    .argument('<profile>', 'profile')
    .addOption(formatOption('yaml'))
    .addHelpText('after', '\nExample:\n  devlxd profile show web');
  command.action((wanted: string) =>
    withClient(command, async (client) => {
      const { name, description, config, devices, used_by } = await client.profiles.get(wanted);
      await printOne(command, { name, description, config, devices, used_by });
    }),
  );
}

function addProfileCreate(profile: Command): void {
  const command = profile
    .command('create')
    .description('describe a new profile')
    .argument('<name>', 'its name')
    .argument('[key=value...]', 'its configuration')
    .option('--description <text>', 'what it is for')
    .addHelpText('after', '\nExample:\n  devlxd profile create web user.role=web --description "web servers"');
  command.action((name: string, pairs: string[], { description = '' }: { description?: string }) =>
    perform(command, (client) => client.profiles.create({ name, description, config: valuesIn(pairs) })),
  );
}

function addProfileSet(profile: Command): void {
  const command = profile
    .command('set')
    .description('set configuration keys; each guest that uses the profile gets its events')
    .argument('<profile>', 'profile')
    .argument('<key=value...>', 'keys to set, all at once or none; or one key and its value')
    .option('--waves <number>', 'of a fleet: its hosts take it in that many parts')
    .option('--wave-seconds <seconds>', 'between two of them', '60')
    .addOption(waitOption())
    .addHelpText(
      'after',
      `${valuesHelp}

Example:
  devlxd profile set web user.role=frontend
  devlxd --fleet etcd1:2379 profile set web user.role=frontend --waves 10`,
    );
  command.action((name: string, pairs: string[], { waves, waveSeconds }: { waves?: string; waveSeconds: string }) =>
    perform(command, async (client) => {
      const inWaves = waves === undefined ? {} : { waves, 'wave-seconds': waveSeconds };
      await client.profiles.patch(name, { config: valuesIn(pairs) }, undefined, inWaves);
      await waitForHosts(command, client, { profile: name });
    }),
  );
}

function addProfileUnset(profile: Command): void {
  const command = profile
    .command('unset')
    .description('remove configuration keys')
    .argument('<profile>', 'profile')
    .argument('<key...>', 'keys to remove; all at once or none')
    .addHelpText('after', '\nExample:\n  devlxd profile unset web user.role');
  command.action((name: string, keys: string[]) =>
    perform(command, (client) => {
      return client.profiles.patch(name, { config: Object.fromEntries(keys.map((key) => [key, ''])) });
    }),
  );
}

function addProfileAssign(profile: Command): void {
  const command = profile
    .command('assign')
    .description('say which profiles an instance has, in order: a later one wins over an earlier one')
    .argument('<instance>', 'instance')
    .argument('[profile...]', 'its profiles from now on; none: it has none')
    .addHelpText('after', '\nExample:\n  devlxd profile assign web1 default web');
  command.action((name: string, profiles: string[]) =>
    perform(command, (client) => client.instances.patch(name, { profiles }), { instance: name }),
  );
}

function addProfileDelete(profile: Command): void {
  const command = profile
    .command('delete')
    .description('forget profiles that no instance uses')
    .argument('<profile...>', 'profiles')
    .addHelpText('after', '\nExample:\n  devlxd profile delete web');
  command.action((names: string[]) =>
    perform(command, async (client) => {
      for (const name of names) await client.profiles.delete(name);
    }),
  );
}

import type { Command } from 'commander';
import { Fault } from '../errors.js';
import { configOf } from './key-values.js';
import { perform } from './with-client.js';

/** devlxd device add and devlxd device remove */
export function addDevice(program: Command): void {
  const device = program
    .command('device')
    .description('add or remove devices of an instance')
    .addHelpText('after', '\nExample:\n  devlxd device add web1 data disk source=/srv/data path=/data');
  const add = device
    .command('add')
    .description('add a device, or replace the one of that name; the guest gets an event')
    .argument('<instance>', 'instance')
    .argument('<device>', 'name of the device')
    .argument('<type>', 'disk, nic, unix-char, ...')
    .argument('[option=value...]', 'its options')
    .addHelpText('after', '\nExample:\n  devlxd device add web1 data disk source=/srv/data path=/data');
  add.action((name: string, deviceName: string, type: string, pairs: string[]) =>
    perform(
      add,
      (client) => {
        const devices = { [deviceName]: { type, ...configOf(pairs) } };
        return client.instances.patch(name, { devices });
      },
      { instance: name },
    ),
  );
  const remove = device
    .command('remove')
    .description('remove a device; the guest gets an event')
    .argument('<instance>', 'instance')
    .argument('<device>', 'name of the device')
    .addHelpText('after', '\nExample:\n  devlxd device remove web1 data');
  remove.action((name: string, deviceName: string) =>
    perform(
      remove,
      (client) =>
        client.instances.edit(name, ({ devices }) => {
          const { [deviceName]: removed, ...rest } = devices;
          if (removed === undefined) throw new Fault('not-found', `Instance "${name}" has no device "${deviceName}".`);
          return { devices: rest };
        }),
      { instance: name },
    ),
  );
}

import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { OptionError } from '../config/options.js';
import { print } from './output.js';
import { withHost } from './with-client.js';

/** devlxd backup */
export function addBackup(program: Command): void {
  const command = program
    .command('backup')
    .description('copy everything that is stored to a file, while the daemon goes on')
    .argument('<file>', 'is replaced when the copy is complete and has been checked')
    .addHelpText(
      'after',
      `
It has instances with their events, profiles, projects and what is known of images, but not the images' files: they
are in DIR/images of --state-dir, and never change.

Examples:
  devlxd backup /srv/backup/devlxd.db
  devlxd restore /srv/backup/devlxd.db    when no daemon runs`,
    );
  command.action((file: string) =>
    withHost(command, async (client) => {
      await checkReplaceable(file);
      const part = `${file}.part`;
      try {
        const copy = await client.backup();
        const target = await open(part, 'w', 0o600);
        await pipeline(copy, target.createWriteStream({ flush: true }));
        const { checkStore } = await import('../store/stored-file.js');
        const { instances } = checkStore(part);
        await rename(part, file);
        await syncDirectory(dirname(file));
        print(`${file}: ${instances} instances`);
      } finally {
        await rm(part, { force: true });
      }
    }),
  );
}

/** A device, a pipe or a directory of that name must not give way to a file. */
async function checkReplaceable(path: string): Promise<void> {
  const known = await stat(path).catch(() => undefined);
  if (known !== undefined && !known.isFile()) throw new OptionError(`${path} is no file that a backup could replace`);
}

/** So that the name is as durable as what it names. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  await directory.sync().finally(() => directory.close());
}

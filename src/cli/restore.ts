import { copyFile, link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { optionDeclarations, variableOf } from '../config/options.js';
import { Fault } from '../errors.js';
import { syncDirectory } from './backup.js';
import { print } from './output.js';

/** devlxd restore */
export function addRestore(program: Command): void {
  const { default: byDefault, help } = optionDeclarations['state-dir'];
  const command = program
    .command('restore')
    .description('put a backup in the place of what is stored; no daemon may run on it')
    .argument('<file>', 'made by devlxd backup')
    .option(
      '--state-dir <dir>',
      `${help} [${variableOf('state-dir')}]`,
      process.env[variableOf('state-dir')] || byDefault,
    )
    .addHelpText(
      'after',
      `
What was stored before is kept beside it, as devlxd.db.before-restore.

Example:
  systemctl stop devlxd.socket devlxd-control.socket devlxd
  devlxd restore /srv/backup/devlxd.db
  systemctl start devlxd.socket devlxd-control.socket devlxd`,
    );
  command.action(async (file: string) => {
    const directory = command.getOptionValue('stateDir') as string;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { checkStore, mergeLog } = await import('../store/stored-file.js');
    const store = join(directory, 'devlxd.db');
    const { instances } = checkStore(file);
    mergeLog(store);
    const part = `${store}.part`;
    try {
      await copyFile(file, part);
      await sync(part, directory);
      // The log first: one that lay beside another database would be taken for its own.
      for (const suffix of ['-wal', '-shm']) {
        await rename(`${store}${suffix}`, `${store}.before-restore${suffix}`).catch(ignoreMissing);
      }
      // At no moment is there no store: a daemon would start with an empty one.
      await rm(`${store}.before-restore`, { force: true });
      await link(store, `${store}.before-restore`).catch(ignoreMissing);
      await rename(part, store);
      await syncDirectory(directory);
    } catch (error) {
      throw new Fault('store-failed', `Nothing was restored: ${(error as Error).message}`, error);
    } finally {
      await rm(part, { force: true });
    }
    print(`${store}: ${instances} instances`);
  });
}

async function sync(path: string, directory: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.chmod(0o600);
  // Root restores for the daemon's user, whose directory it is.
  const { uid, gid } = await stat(directory);
  if (process.getuid?.() === 0) await file.chown(uid, gid);
  await file.sync().finally(() => file.close());
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

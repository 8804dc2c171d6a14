import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const cache = join(packageRoot, 'build/debian-packages');

/**
 * Packages of a release of Debian, unpacked into a directory of their own, which stays for the next run: nothing is
 * installed. The mirror is that of this host, the lists are not the host's.
 * @returns the directory, or why the packages cannot be had
 */
export function unpacked(name: string, suite: string, packages: readonly string[]): string | Error {
  const directory = join(cache, name);
  if (existsSync(directory)) return directory;
  const work = join(cache, `${name}.new`);
  try {
    rmSync(work, { recursive: true, force: true });
    for (const folder of ['lists/partial', 'archives/partial', 'debs', 'root'])
      mkdirSync(join(work, folder), { recursive: true });
    const mirror = run('apt-get', ['indextargets', '--format', '$(SITE)']).split('\n', 1)[0];
    writeFileSync(join(work, 'sources.list'), `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
    const options = [
      ...['-o', `Dir::Etc::sourcelist=${work}/sources.list`, '-o', 'Dir::Etc::sourceparts=-'],
      ...['-o', `Dir::State::lists=${work}/lists`, '-o', `Dir::Cache=${work}`, '-o', 'APT::Sandbox::User=root'],
    ];
    run('apt-get', [...options, '-q', 'update']);
    run('apt-get', [...options, '-q', 'download', ...packages], join(work, 'debs'));
    for (const deb of readdirSync(join(work, 'debs'))) run('dpkg', ['-x', join(work, 'debs', deb), join(work, 'root')]);
    renameSync(join(work, 'root'), directory);
    return directory;
  } catch (error) {
    return error as Error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function run(program: string, words: readonly string[], cwd?: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, { cwd, encoding: 'utf8', timeout: 120_000 });
  if (status === 0) return stdout;
  throw new Error(`${program} ${words.at(-1)}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
}

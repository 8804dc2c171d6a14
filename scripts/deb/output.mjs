import { spawnSync } from 'node:child_process';

const packages = { 'dpkg-shlibdeps': 'dpkg-dev', strip: 'binutils', 'dpkg-deb': 'dpkg' };

/** What a command prints; an error, when it fails or is missing. */
export function output(command, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', cwd });
  if (error?.code === 'ENOENT')
    throw new Error(`${command} is missing: apt-get install ${packages[command] ?? command}`);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}

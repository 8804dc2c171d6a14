import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const programs = ['/bin/busybox', '/usr/bin/curl'];
const directories = ['bin', 'cloud-init', 'dev', 'out', 'proc', 'sys', 'tmp', 'usr'];
const applets = ['head', 'sh', 'true'];

/** What the root file system is made of and is not there. */
export function missingProgram(): string | undefined {
  const missing = programs.find((program) => !existsSync(program));
  const names: Record<string, string> = { '/bin/busybox': 'busybox-static', '/usr/bin/curl': 'curl' };
  return missing && `needs ${missing}: apt-get install ${names[missing]}`;
}

/** Makes a minimal root file system: BusyBox, curl with its libraries, scripts by name, and empty directories. */
export function makeRootFileSystem(
  root: string,
  scripts: Readonly<Record<string, string>>,
  brought: readonly string[] = programs,
): void {
  for (const name of directories) mkdirSync(join(root, name), { recursive: true });
  for (const program of brought) {
    copyInto(join(root, 'bin', program.split('/').at(-1) ?? ''), program);
    for (const library of librariesOf(program)) copyInto(join(root, library), library);
  }
  for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
  for (const [name, text] of Object.entries(scripts)) writeFileSync(join(root, 'bin', name), text, { mode: 0o755 });
}

function copyInto(target: string, source: string): void {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
}

function librariesOf(program: string): string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path as string);
}

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const programs = ['/bin/busybox', '/usr/bin/curl'];
const applets = ['head', 'sh', 'true'];

/** What the root file system is made of and is not there. */
export function missingProgram(): string | undefined {
  const missing = programs.find((program) => !existsSync(program));
  const names: Record<string, string> = { '/bin/busybox': 'busybox-static', '/usr/bin/curl': 'curl' };
  return missing && `needs ${missing}: apt-get install ${names[missing]}`;
}

/** Makes a minimal root file system: BusyBox, curl with its libraries, empty directories, and a script at /bin/boot. */
export function makeRootFileSystem(root: string, boot: string): void {
  for (const directory of ['bin', 'dev', 'out', 'proc', 'sys', 'tmp'])
    mkdirSync(join(root, directory), { recursive: true });
  for (const program of programs) {
    copyInto(join(root, 'bin', program.split('/').at(-1) ?? ''), program);
    for (const library of librariesOf(program)) copyInto(join(root, library), library);
  }
  for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'bin/boot'), boot, { mode: 0o755 });
}

function copyInto(target: string, source: string): void {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
}

function librariesOf(program: string): string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path as string);
}

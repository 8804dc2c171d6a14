import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';
import { programs } from './next-boot.js';

export interface Unpacked {
  readonly directory: string;
  /** why the packages cannot be had */
  readonly problem: string | undefined;
}

/** Debian packages that tests use without installing them. They are downloaded once and kept in build/. */
export function unpacked(name: string, packages: readonly string[]): Unpacked {
  const directory = join(packageRoot, 'build/unpacked', name);
  const script = join(programs, 'unpack.sh');
  const { status, stderr, error } = spawnSync(script, [directory, ...packages], { encoding: 'utf8', timeout: 60_000 });
  if (status === 0) return { directory, problem: undefined };
  const reason = error?.message ?? stderr.trim().split('\n').at(-1);
  return { directory, problem: `${name} cannot be downloaded (apt-get update, as root, may help): ${reason}` };
}

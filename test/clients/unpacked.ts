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
  return unpackedBy(name, 'unpack.sh', [], packages);
}

/** The same of another release of Debian than the one that the tests run on. */
export function unpackedFrom(suite: string, name: string, packages: readonly string[]): Unpacked {
  return unpackedBy(name, 'unpack-from.sh', [suite], packages);
}

/** The root of a system: the packages, all that they depend on and what is essential; no package is configured. */
export function rootFrom(suite: string, name: string, packages: readonly string[]): Unpacked {
  return unpackedBy(name, 'unpack-from.sh', ['--with-dependencies', suite], ['?essential', ...packages]);
}

function unpackedBy(name: string, script: string, words: readonly string[], packages: readonly string[]): Unpacked {
  const directory = join(packageRoot, 'build/unpacked', name);
  const command = join(programs, script);
  const options = { encoding: 'utf8', timeout: 900_000 } as const;
  const { status, stderr, error } = spawnSync(command, [...words, directory, ...packages], options);
  if (status === 0) return { directory, problem: undefined };
  const reason = error?.message ?? stderr.trim().split('\n').at(-1);
  return { directory, problem: `${name} cannot be downloaded (apt-get update, as root, may help): ${reason}` };
}

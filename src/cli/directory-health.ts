import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const { R_OK, W_OK, X_OK } = constants;

/**
 * Why this user cannot keep files in a directory, which need not be there yet; undefined: nothing is in the way.
 * option: that names another one
 */
export function directoryProblem(directory: string, option: string): string | undefined {
  const found = existing(directory);
  if (!statSync(found).isDirectory()) return `${found} is no directory: choose another ${option}`;
  return refusal(found, R_OK | W_OK | X_OK, option);
}

/** Why this user may not do that with a path that is there. */
export function refusal(path: string, mode: number, option: string): string | undefined {
  try {
    accessSync(path, mode);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EROFS') return `the file system of ${path} is read-only: mount it read-write`;
    if (code !== 'EACCES') return `${path} cannot be written (${code}): choose another ${option}`;
    const { uid, mode: bits } = statSync(path);
    const permissions = (bits & 0o7777).toString(8).padStart(4, '0');
    return `uid ${process.geteuid?.()} may not read and write ${path}, which belongs to uid ${uid} and has the mode ${permissions}: run devlxd as that user, or choose another ${option}`;
  }
}

/** The path, or the nearest directory above it that there is. */
export function existing(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : existing(dirname(path));
}

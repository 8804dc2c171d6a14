import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The directory of package.json, from source and from dist/ alike. */
export const packageRoot = findRoot(import.meta.dirname);

/** The version in package.json. */
export const version: string = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version;

/** How what is compiled is built for this Node and this system: in a checkout, a package of npm, one of Debian. */
export const rebuildAdvice = rebuildAdviceIn(packageRoot);

function rebuildAdviceIn(root: string): string {
  if (existsSync(join(root, 'src'))) return 'Build it with this Node: npm run build';
  if (existsSync(join(root, 'binding.gyp'))) return 'Build it with this Node: npm rebuild -g devlxd';
  return 'Install the package of devlxd for this Node and this release of Debian.';
}

function findRoot(directory: string): string {
  return existsSync(join(directory, 'package.json')) ? directory : findRoot(dirname(directory));
}

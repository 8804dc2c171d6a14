// Copies the client library, and the modules that it imports, into the package `devlxd-client`: npm pack -w devlxd-client
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const from = join(root, 'dist/src');
const to = join(root, 'packaging/client/src');

rmSync(to, { recursive: true, force: true });
for (const file of closureOf(join(from, 'client/index.js'))) {
  const target = join(to, relative(from, file));
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(file, target);
}

/** A module and its types, and all of its own that they import. */
function closureOf(module, found = new Set()) {
  if (found.has(module)) return found;
  const files = [module, module.replace(/\.js$/, '.d.ts')];
  for (const file of files) found.add(file);
  for (const file of files)
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/\b(?:from|import)\b *\(?'(\.{1,2}\/[^']+)'/g))
      closureOf(resolve(dirname(file), name), found);
  return found;
}

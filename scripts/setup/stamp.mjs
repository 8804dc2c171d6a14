// A step is done again only when what it is made from has changed: a stamp beside what it makes holds their digest.
// Names are relative to the project, which may be moved.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** inputs: files and directories; facts: what else the result depends on */
export function digestOf(root, { inputs, facts = [] }) {
  const hash = createHash('sha256').update(`${facts.join(' ')}\n`);
  for (const input of inputs) {
    for (const name of filesOf(root, input))
      hash
        .update(`${name}\0`)
        .update(readFileSync(join(root, name)))
        .update('\0');
  }
  return hash.digest('hex');
}

export function isDone(root, { stamp, products }, digest) {
  const file = join(root, stamp);
  if (!existsSync(file) || readFileSync(file, 'utf8') !== digest) return false;
  return products.every((product) => existsSync(join(root, product)));
}

export function markDone(root, { stamp }, digest) {
  mkdirSync(dirname(join(root, stamp)), { recursive: true });
  writeFileSync(join(root, stamp), digest);
}

/** Below a name, itself when it is a file; none when there is no such thing. */
export function filesOf(root, name) {
  const path = join(root, name);
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [name];
  return readdirSync(path)
    .sort()
    .flatMap((entry) => filesOf(root, join(name, entry)));
}

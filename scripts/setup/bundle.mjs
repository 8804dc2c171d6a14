// Makes the program that is run, dist/program, of what tsc has compiled: hundreds of modules become a few, which halves
// the processor time of a start.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { unbundled } from './unbundled.mjs';

const root = resolve(import.meta.dirname, '../..');
const out = 'dist/program';

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['cli/main', 'store/store-worker', 'demo/demo-guest'].map((name) => `dist/src/${name}.js`),
  outdir: out,
  entryNames: '[name]',
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.17',
  external: [...unbundled, 'bufferutil', 'utf-8-validate'], // ws goes without the last two
  // What packages in CommonJS require is Node's own.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
  },
  sourcemap: 'linked',
  metafile: true,
  logLevel: 'warning',
});
removeOld(metafile);
writeFileSync(join(root, out, 'LICENSES'), licences(packagesIn(metafile)));

/** What earlier builds have made, once what is new is there: what runs meanwhile finds one or the other. */
function removeOld({ outputs }) {
  for (const name of readdirSync(join(root, out))) if (!(`${out}/${name}` in outputs)) rmSync(join(root, out, name));
}

/** Directories of the packages whose code went in. */
function packagesIn({ inputs }) {
  const found = Object.keys(inputs).map((name) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(name)?.[0]);
  return [...new Set(found)].filter((name) => name !== undefined).sort();
}

/** Each licence asks to go along with what it is of. */
function licences(packages) {
  return packages
    .map((directory) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8'));
      const texts = readdirSync(join(root, directory)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
      const text = texts.map((file) => readFileSync(join(root, directory, file), 'utf8')).join('\n');
      return `${name} ${version}: ${license}\n\n${text}`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

// Builds the Debian package from what is built here: build/devlxd_VERSION_ARCHITECTURE.deb, whose name it prints.
// --output DIR, --version V (package.json's), --fast (hardly compressed)
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { controlOf, maintainer } from './deb/control.mjs';
import { output } from './deb/output.mjs';
import { unbundled } from './setup/unbundled.mjs';

const root = resolve(import.meta.dirname, '..');
const project = manifestOf(root);
const { values } = parseArgs({
  options: {
    output: { type: 'string', default: join(root, 'build') },
    version: { type: 'string', default: project.version },
    fast: { type: 'boolean', default: false },
  },
});

/** What of these packages is needed to run; of others everything but their tests and documentation. */
const needed = {
  'better-sqlite3': ['package.json', 'LICENSE', 'lib', 'build/Release/better_sqlite3.node'],
  'uWebSockets.js': [
    'package.json',
    'LICENSE',
    'uws.js',
    'ESM_wrapper.mjs',
    `uws_linux_${process.arch}_${process.versions.modules}.node`,
  ],
};
/** Programs of packages, at their top or in build/bin, go as well. */
const superfluous =
  /^\/(bin\.m?js|[^/]+\.sh)$|^\/build\/bin(\/|$)|\/(tests?|docs|examples|benchmarks?|\.[^/]+)(\/|$)|\.(md|map|[cm]?ts|markdown|html)$/;
/** Each licence asks to go along with what it is of. */
const licence = /\/(licen[cs]e|copying|notice)[^/]*$/i;

const stage = mkdtempSync(join(tmpdir(), 'devlxd-deb-'));
chmodSync(stage, 0o755);
try {
  program();
  modules();
  system();
  documentation();
  control();
  process.stdout.write(`${build()}\n`);
} finally {
  rmSync(stage, { recursive: true });
}

function program() {
  const library = 'usr/lib/devlxd';
  const built = ['devlxd.node', 'devlxd-hook', 'devlxd-runc', 'guests'].map((name) => join('build/Release', name));
  for (const part of ['bin/devlxd', 'bin/supported-node.mjs', 'dist/program', 'proto', ...built, 'package.json'])
    put(part, join(library, part));
  for (const name of ['devlxd-hook', 'devlxd-runc'])
    symlinkSync(`../build/Release/${name}`, join(stage, library, 'bin', name));
  writeFileSync(join(stage, library, 'package.json'), JSON.stringify({ ...project, version: values.version }, null, 2));
  const start = join(stage, library, 'bin/devlxd');
  writeFileSync(start, readFileSync(start, 'utf8').replace(/^#!\/usr\/bin\/env -S node /, '#!/usr/bin/node '));
  mkdirSync(join(stage, 'usr/bin'), { recursive: true });
  for (const name of ['devlxd', 'devlxd-hook', 'devlxd-runc'])
    symlinkSync(`../lib/devlxd/bin/${name}`, join(stage, 'usr/bin', name));
}

function modules() {
  for (const directory of closure()) {
    const to = join('usr/lib/devlxd', relative(root, directory));
    const parts = needed[relative(join(root, 'node_modules'), directory)];
    if (parts) for (const part of parts) put(relative(root, join(directory, part)), join(to, part));
    else put(relative(root, directory), to, (from) => isPart(from.slice(directory.length)));
  }
}

function isPart(path) {
  // Packages inside come by themselves, if they are needed.
  return (licence.test(path) || !superfluous.test(path)) && !path.startsWith('/node_modules');
}

/** The directories of what is in node_modules; the other packages are part of dist/program. */
function closure() {
  const found = new Set();
  const add = (directory, names) => {
    for (const name of names) {
      const dependency = find(name, directory);
      if (found.has(dependency)) continue;
      found.add(dependency);
      add(
        dependency,
        Object.keys(manifestOf(dependency).dependencies ?? {}).filter((name) => name !== 'prebuild-install'),
      );
    }
  };
  const wanted = unbundled.filter((name) => name !== 'better-sqlite3' || !isBuiltin('node:sqlite'));
  add(root, wanted);
  return [...found].sort();
}

function find(name, from) {
  const candidate = join(from, 'node_modules', name);
  if (existsSync(candidate)) return candidate;
  if (from === dirname(from)) throw new Error(`${name} is not installed: npm ci`);
  return find(name, dirname(from));
}

function system() {
  for (const unit of [
    'devlxd.service',
    'devlxd.socket',
    'devlxd-control.socket',
    'devlxd-metrics.socket',
    'devlxd-vsock.socket',
  ])
    put(`packaging/${unit}`, `usr/lib/systemd/system/${unit}`);
  put('packaging/devlxd.sysusers', 'usr/lib/sysusers.d/devlxd.conf');
  put('packaging/devlxd.tmpfiles', 'usr/lib/tmpfiles.d/devlxd.conf');
  put('packaging/devlxd.env', 'etc/devlxd/devlxd.env');
  for (const name of ['lxd.conf', 'incus.conf', 'fleet.conf'])
    put(`packaging/${name}`, `usr/share/doc/devlxd/packaging/${name}`);
  put('packaging/grafana/devlxd.json', 'usr/share/devlxd/grafana/devlxd.json');
  put('packaging/prometheus/devlxd.rules.yml', 'usr/share/devlxd/prometheus/devlxd.rules.yml');
}

function documentation() {
  const to = 'usr/share/doc/devlxd';
  put('packaging/copyright', `${to}/copyright`);
  put('packaging/lintian-overrides', 'usr/share/lintian/overrides/devlxd');
  const date = output('date', ['-R', '-r', join(root, 'CHANGELOG.md')]).trim();
  const entry = `devlxd (${values.version}) unstable; urgency=medium\n\n  * As CHANGELOG.md beside this file says.\n\n`;
  compressed(`${to}/changelog`, `${entry} -- ${maintainer()}  ${date}\n`);
  for (const page of ['README.md', 'SECURITY.md', 'CHANGELOG.md']) put(page, `${to}/${page}`);
  for (const page of readdirSync(join(root, 'docs')).filter((name) => name !== 'benchmarks'))
    put(`docs/${page}`, `${to}/docs/${page}`);
  symlinkSync('docs/operations.md', join(stage, to, 'operations.md'));
  printed('usr/share/man/man1/devlxd.1', ['man']);
  printed('usr/share/bash-completion/completions/devlxd', ['completion', 'bash']);
  printed('usr/share/zsh/vendor-completions/_devlxd', ['completion', 'zsh']);
  printed('usr/share/fish/vendor_completions.d/devlxd.fish', ['completion', 'fish']);
  output('gzip', ['-9n', join(stage, 'usr/share/man/man1/devlxd.1')]);
  for (const page of ['devlxd-hook.1', 'devlxd-runc.1'])
    compressed(`usr/share/man/man1/${page}`, readFileSync(join(root, 'packaging', page)));
}

function compressed(to, text) {
  writeFileSync(join(stage, to), text);
  output('gzip', ['-9n', join(stage, to)]);
}

/** What the program itself prints. */
function printed(to, words) {
  const target = join(stage, to);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, output(process.execPath, [join(root, 'bin/devlxd'), ...words]));
}

function control() {
  mkdirSync(join(stage, 'DEBIAN'));
  const size = Number(output('du', ['-sk', '--apparent-size', stage]).split('\t')[0]);
  const binaries = output('find', [stage, '-name', '*.node']).trim().split('\n');
  const { description, engines } = project;
  const fields = { version: values.version, description, engines, architecture: architecture(), size, binaries };
  writeFileSync(join(stage, 'DEBIAN/control'), controlOf(fields));
  writeFileSync(join(stage, 'DEBIAN/conffiles'), '/etc/devlxd/devlxd.env\n');
  for (const script of readdirSync(join(root, 'packaging/debian'))) {
    put(`packaging/debian/${script}`, `DEBIAN/${script}`);
    chmodSync(join(stage, 'DEBIAN', script), 0o755);
  }
}

function build() {
  const file = join(resolve(values.output), `devlxd_${values.version}_${architecture()}.deb`);
  const compression = values.fast ? ['-Zgzip', '-z1'] : ['-Zxz'];
  output('dpkg-deb', ['--root-owner-group', ...compression, '--build', stage, file]);
  return file;
}

function architecture() {
  return output('dpkg', ['--print-architecture']).trim();
}

/** Copies a part of the project; filter: of what is below it. Owner and mode do not depend on the user that builds. */
function put(from, to, filter = () => true) {
  const target = join(stage, to);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(root, from), target, { recursive: true, filter: (path) => filter(path) && !/\.(map|d\.ts)$/.test(path) });
  output('chmod', ['-R', 'u=rwX,go=rX', target]);
  if (to.includes('/node_modules/') || to.endsWith('.node')) output('chmod', ['-R', 'a-x+X', target]);
  if (/^build\/Release\//.test(from) || to.endsWith('.node')) output('strip', ['--strip-unneeded', target]);
}

function manifestOf(directory) {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
}

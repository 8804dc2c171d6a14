// What dpkg is told of the package: its fields, and what its binaries need of Node, libc and libstdc++.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from './output.mjs';

/** The maintainer, from the variables that Debian's own tools read. */
export function maintainer() {
  const { DEBFULLNAME: name = 'devlxd', DEBEMAIL: address = 'devlxd@localhost' } = process.env;
  return `${name} <${address}>`;
}

/** binaries: what is loaded, from whose symbol versions the versions of libraries follow */
export function controlOf({ version, description, engines, architecture, size, binaries }) {
  const fields = {
    Package: 'devlxd',
    Version: version,
    Architecture: architecture,
    Maintainer: maintainer(),
    'Installed-Size': size,
    Depends: [...nodeNeeded(engines), ...librariesNeeded(binaries)].join(', '),
    Recommends: 'systemd, procps', // kill(1), for systemctl reload
    Section: 'admin',
    Priority: 'optional',
    Description: `${description}\n Each instance reads its own configuration on /dev/lxd/sock, which one daemon\n serves for all. The kernel says which instance asks.`,
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}

/** The compiled parts fit one major version of Node. */
function nodeNeeded({ node }) {
  const major = process.versions.node.split('.')[0];
  const least = node
    .split('||')
    .map((range) => range.trim().replace('^', ''))
    .find((range) => range.split('.')[0] === major);
  return [`nodejs (>= ${least})`, `nodejs (<< ${Number(major) + 1}~)`];
}

function librariesNeeded(binaries) {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-shlibdeps-'));
  try {
    mkdirSync(join(directory, 'debian'));
    writeFileSync(join(directory, 'debian/control'), 'Source: devlxd\n\nPackage: devlxd\nArchitecture: any\n');
    // Node has what the binaries leave open: no warning of that.
    const printed = output('dpkg-shlibdeps', ['-O', '--warnings=0', ...binaries.map((file) => `-e${file}`)], directory);
    return [/^shlibs:Depends=(.+)$/m.exec(printed)?.[1]];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

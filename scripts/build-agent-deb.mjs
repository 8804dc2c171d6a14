// Builds the Debian package of devlxd-agent, for virtual machines: build/devlxd-agent_VERSION_ARCHITECTURE.deb, whose
// name it prints. --output DIR, --version V (package.json's)
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { maintainer } from './deb/control.mjs';
import { output } from './deb/output.mjs';

const root = resolve(import.meta.dirname, '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const { values } = parseArgs({
  options: {
    output: { type: 'string', default: join(root, 'build') },
    version: { type: 'string', default: version },
  },
});

const files = {
  'build/Release/devlxd-agent': 'usr/bin/devlxd-agent',
  'packaging/agent/devlxd-agent.socket': 'usr/lib/systemd/system/devlxd-agent.socket',
  'packaging/agent/devlxd-agent.service': 'usr/lib/systemd/system/devlxd-agent.service',
  'packaging/agent/modules-load.conf': 'usr/lib/modules-load.d/devlxd-agent.conf',
  'packaging/agent/devlxd-agent.1': 'usr/share/man/man1/devlxd-agent.1',
  'packaging/agent/lintian-overrides': 'usr/share/lintian/overrides/devlxd-agent',
  'packaging/copyright': 'usr/share/doc/devlxd-agent/copyright',
};

const stage = mkdtempSync(join(tmpdir(), 'devlxd-agent-deb-'));
try {
  chmodSync(stage, 0o755);
  for (const [from, to] of Object.entries(files)) put(readFileSync(join(root, from)), to);
  const program = join(stage, 'usr/bin/devlxd-agent');
  chmodSync(program, 0o755);
  output('strip', ['--strip-unneeded', program]);
  const date = output('date', ['-R', '-r', join(root, 'CHANGELOG.md')]).trim();
  const entry = `devlxd-agent (${values.version}) unstable; urgency=medium\n\n  * As CHANGELOG.md of devlxd says.\n\n`;
  put(`${entry} -- ${maintainer()}  ${date}\n`, 'usr/share/doc/devlxd-agent/changelog');
  output('gzip', ['-9n', join(stage, 'usr/share/doc/devlxd-agent/changelog')]);
  output('gzip', ['-9n', join(stage, 'usr/share/man/man1/devlxd-agent.1')]);
  put(control(), 'DEBIAN/control');
  for (const script of readdirSync(join(root, 'packaging/agent/debian'))) {
    const to = join(stage, 'DEBIAN', script);
    copyFileSync(join(root, 'packaging/agent/debian', script), to);
    chmodSync(to, 0o755);
  }
  const file = join(resolve(values.output), `devlxd-agent_${values.version}_${architecture()}.deb`);
  output('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', stage, file]);
  process.stdout.write(`${file}\n`);
} finally {
  rmSync(stage, { recursive: true });
}

/** It is static: it needs nothing that is installed. */
function control() {
  const fields = {
    Package: 'devlxd-agent',
    Version: values.version,
    Architecture: architecture(),
    Maintainer: maintainer(),
    'Installed-Size': output('du', ['-sk', '--apparent-size', stage]).split('\t')[0],
    Recommends: 'systemd',
    Section: 'admin',
    Priority: 'optional',
    Description:
      'guest API of devlxd inside a virtual machine\n It makes /dev/lxd/sock in a virtual machine, and connects its clients by vsock\n to devlxd on the host, which answers them as it answers containers.',
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}

function architecture() {
  return output('dpkg', ['--print-architecture']).trim();
}

function put(bytes, to) {
  const target = join(stage, to);
  mkdirSync(dirname(target), { recursive: true });
  output('chmod', ['-R', 'u=rwX,go=rX', stage]);
  writeFileSync(target, bytes, { mode: 0o644 });
}

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SourceName } from '../../src/model/instance.js';
import { unpackedFrom } from '../clients/unpacked.js';

/** How a real LXD, or Incus, is run. */
export interface Flavour {
  readonly source: SourceName;
  readonly title: string;
  /** names the directory of everything it has */
  readonly variable: string;
  /** of its guests, beside its socket */
  readonly guestDirectory: string;
  /** the guests' socket, as they see it */
  readonly guestSocket: string;
  readonly client: string;
  readonly daemon: readonly string[];
  /** what waits until it has started; left out: it is asked */
  readonly waits?: readonly string[];
  /** what makes a mount namespace of its own for it and its client, given the rig's directory; left out: the host's */
  readonly inside?: readonly string[];
  /** of the rig's directory: where the host's /usr is found in there, if it is another than its own */
  readonly usr?: string;
  /** why it cannot be run here */
  missing(): string | undefined;
}

const lxdDaemon = ['lxd', '--group', 'root'];

function missingLxd(): string | undefined {
  for (const [name, program] of [
    ['lxd', 'lxd'],
    ['lxd-client', 'lxc'],
  ] as const)
    if (spawnSync(program, ['--version']).status !== 0) return `needs ${name}: apt-get install ${name}`;
  return undefined;
}

/** Debian's package, as it is. */
export const lxd: Flavour = {
  source: 'lxd',
  title: "Debian's LXD",
  variable: 'LXD_DIR',
  guestDirectory: 'devlxd',
  guestSocket: '/dev/lxd/sock',
  client: 'lxc',
  daemon: lxdDaemon,
  waits: ['lxd', 'waitready', '--timeout=60'],
  missing: missingLxd,
};

// As snap-confine does: the host's mounts come in, its own do not go out, and its root is another one.
const inSnap = `set -e
mount --make-rslave /
mkdir -p "$1/root"; mount --rbind / "$1/root"; mkdir -p "$1/root$1/old"
cd "$1/root"; pivot_root . ".$1/old"; umount -l "$1/old"; cd /
echo ready; exec sleep infinity`;

/** The same in a mount namespace and a root of its own, as the snap runs it: its mounts are in there only. */
export const snap: Flavour = {
  ...lxd,
  title: "LXD in the snap's layout",
  inside: [inSnap],
};

// Its programs are laid over the host's, in there only. It wants one range of ids, and unified cgroups.
const unpackedInside = `set -e
mount --make-rslave /
mkdir -p "$1/usr" "$1/over"; mount --bind /usr "$1/usr"; mount -t tmpfs tmpfs "$1/over"; mkdir "$1/over/upper" "$1/over/work"
mount -t overlay overlay -o "lowerdir=$2/usr:/usr,upperdir=$1/over/upper,workdir=$1/over/work" /usr
echo root:1000000:1000000000 > "$1/over/ids"
for f in /etc/subuid /etc/subgid; do [ -e $f ] || : > $f; mount --bind "$1/over/ids" $f; done
umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /var/lib/lxcfs /var/log/incus
echo ready; exec sleep infinity`;

/** Incus of a release of Debian, downloaded and unpacked, never installed. */
export function incus(suite: string, packages: readonly string[]): Flavour {
  const name = `incusd-${suite}`; // its client alone is another
  const found = { directory: '' };
  return {
    source: 'incus',
    title: `Incus of ${suite}`,
    variable: 'INCUS_DIR',
    guestDirectory: 'guestapi',
    guestSocket: '/dev/incus/sock',
    client: 'incus',
    usr: 'usr',
    daemon: ['/usr/libexec/incus/incusd', '--group', 'root'],
    get inside() {
      return [unpackedInside, found.directory];
    },
    missing: () => {
      const { directory, problem } = unpackedFrom(suite, name, ['incus-base', 'incus-client', ...packages]);
      if (problem === undefined) mergeUsr(directory);
      found.directory = directory;
      return problem;
    },
  };
}

/** Packages of before the merge have a part in /lib. */
function mergeUsr(directory: string): void {
  const apart = join(directory, 'lib');
  if (!existsSync(apart)) return;
  cpSync(apart, join(directory, 'usr/lib'), { recursive: true });
  rmSync(apart, { recursive: true });
}

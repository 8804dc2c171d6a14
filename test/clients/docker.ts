import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';
import { eventually } from '../support/eventually.js';
import { withCgroup2 } from './oci.js';
import { type Unpacked, unpacked } from './unpacked.js';

let dockerUnpacked: Unpacked | undefined;

/** Docker and containerd, unpacked: to install them would bring services, a bridge and a firewall to the machine. */
export function dockerPackages(): Unpacked {
  dockerUnpacked ??= unpacked('docker', ['docker.io', 'containerd', 'libdevmapper1.02.1']);
  return dockerUnpacked;
}

export interface Ran {
  readonly code: number | null;
  /** both streams */
  readonly output: string;
}

const namespace = 'devlxd-test';

/** What runc leaves of the cgroups of containerd's containers; there are none in it any more. */
function removeCgroups(): void {
  const root = '/sys/fs/cgroup';
  if (!existsSync(root)) return;
  for (const controller of ['.', ...readdirSync(root)]) {
    const left = join(root, controller, namespace);
    if (existsSync(left)) rmdirSync(left);
  }
}

/** A service of docker or containerd in network and mount namespaces of its own, with all its files below a directory. */
export class Service {
  readonly #directory: string;
  readonly #log: string;
  #child: ChildProcess | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.#log = join(directory, 'log');
    mkdirSync(directory);
  }

  get environment(): NodeJS.ProcessEnv {
    const { directory } = dockerPackages();
    const folders = ['usr/bin', 'usr/sbin'].map((folder) => join(directory, folder));
    const { PATH = '' } = process.env;
    return {
      PATH: `${folders.join(':')}:${PATH}:/usr/sbin`,
      LD_LIBRARY_PATH: readdirSync(join(directory, 'lib'))
        .map((name) => join(directory, 'lib', name))
        .join(':'),
      HOME: this.#directory,
      DOCKER_HOST: `unix://${this.socket}`,
      CONTAINERD_ADDRESS: this.socket,
      CONTAINERD_NAMESPACE: namespace,
    };
  }

  get socket(): string {
    return join(this.#directory, 'sock');
  }

  /** isThere: of the client, succeeds when the service answers. @returns why it does not run */
  async start(words: readonly string[], isThere: readonly string[]): Promise<string | undefined> {
    const [first, ...others] = ['unshare', '--net', ...words] as [string, ...string[]];
    const log = createWriteStream(this.#log);
    await once(log, 'open');
    this.#child = spawn(first, others, { stdio: ['ignore', log, log], env: this.environment });
    const ends = once(this.#child, 'exit');
    let ended = false;
    void ends.then(() => (ended = true));
    await eventually('it answers', async () => ended || (await this.run(isThere)).code === 0).catch(() => undefined);
    if (!ended && (await this.run(isThere)).code === 0) return undefined;
    return readFileSync(this.#log, 'utf8').trim().split('\n').at(-1);
  }

  /** A client of it. */
  async run(words: readonly string[]): Promise<Ran> {
    const [first = '', ...others] = words;
    const child = spawn(first, others, { stdio: ['ignore', 'pipe', 'pipe'], env: this.environment });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
    removeCgroups();
  }
}

/** dockerd, with devlxd-runc among its runtimes as docs/runtimes.md has it. */
export async function startDocker(
  directory: string,
  runDir: string,
): Promise<{ docker: Service; problem: string | undefined }> {
  const docker = new Service(directory);
  const file = join(directory, 'daemon.json');
  const path = join(packageRoot, 'bin/devlxd-runc');
  writeFileSync(file, JSON.stringify({ runtimes: { devlxd: { path, runtimeArgs: [`--devlxd-run-dir=${runDir}`] } } }));
  const files = ['--config-file', file, '--data-root', join(directory, 'data'), '--exec-root', join(directory, 'run')];
  const plain = ['--storage-driver=vfs', '--iptables=false', '--ip6tables=false', '--bridge=none'];
  const words = ['dockerd', ...files, ...plain, '--pidfile', join(directory, 'pid'), '-H', `unix://${docker.socket}`];
  return { docker, problem: await docker.start([...withCgroup2, ...words], ['docker', 'version']) };
}

/** containerd alone, whose runc is devlxd-runc. */
export async function startContainerd(
  directory: string,
): Promise<{ containerd: Service; problem: string | undefined }> {
  const containerd = new Service(directory);
  const file = join(directory, 'config.toml');
  const lines = [
    'version = 2',
    `root = "${join(directory, 'root')}"`,
    `state = "${join(directory, 'state')}"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    '[grpc]',
    `address = "${containerd.socket}"`,
    '',
  ];
  writeFileSync(file, lines.join('\n'));
  // With the cgroups of the machine: ctr asks for a share of the processors.
  const words = ['unshare', '--mount', 'containerd', '--config', file];
  return { containerd, problem: await containerd.start(words, ['ctr', 'version']) };
}

export function hasDocker(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, to run docker';
  if (!existsSync('/usr/sbin/runc') && spawnSync('runc', ['--version']).error)
    return 'needs runc: apt-get install runc';
  return dockerPackages().problem;
}

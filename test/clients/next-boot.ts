import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';
import type { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type Ran, runInGuest } from '../support/guest-processes.js';

/** Where the programs that are not TypeScript are. */
export const programs = join(packageRoot, 'test/clients/programs');

export interface Boot {
  readonly command: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** what is mounted at /dev/lxd; the daemon's guest directory when left out */
  readonly devLxd?: string;
  /** the instance is started only when its guest has connected to the daemon */
  readonly early?: boolean;
}

/** The next boot of an instance that is not running, or about to end: one program, which finds /dev/lxd. */
export async function nextBoot(daemon: TestDaemon, name: string, boot: Boot): Promise<Ran> {
  await eventually(`${name} has stopped`, async () => (await daemon.status(name)) === 'Stopped');
  let started: Promise<void> | undefined;
  const ran = await runInGuest({
    command: ['/bin/sh', join(programs, 'with-dev-lxd.sh'), ...boot.command],
    binds: { [boot.devLxd ?? join(daemon.runDir, 'guest')]: '/mnt' },
    before: async (pid) => {
      started = boot.early ? startLate(daemon, name, pid) : daemon.startInstance(name, pid);
      if (!boot.early) await started;
    },
    environment: boot.environment ?? {},
  });
  await started;
  return ran;
}

async function startLate(daemon: TestDaemon, name: string, pid: number): Promise<void> {
  const descriptors = () => readdirSync(`/proc/${daemon.pid}/fd`).length;
  const before = descriptors();
  await eventually('the guest has connected', () => descriptors() > before);
  await daemon.startInstance(name, pid);
}

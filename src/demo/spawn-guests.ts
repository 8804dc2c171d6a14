import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { Fault } from '../errors.js';
import { packageRoot } from '../package-root.js';

/** A demo guest: a real process in user and pid namespaces of its own. */
export interface DemoGuest {
  /** of its init, as the host sees it */
  readonly pid: number;
  readonly process: ChildProcess;
  /** lets it run; before that it only exists */
  go(): void;
}

const pidFd = 3;
const waitFd = 4;

/** Starts a guest that will talk to the socket at socketPath; each line it prints goes to onLine. */
export async function spawnGuest(socketPath: string, onLine: (line: string) => void): Promise<DemoGuest> {
  const tool = join(packageRoot, 'build/Release/guests');
  const script = readFileSync(join(import.meta.dirname, 'demo-guest.js'));
  const options = ['--pid-fd', String(pidFd), '--wait-fd', String(waitFd), ...idmapOptions()];
  const command = [process.execPath, '--input-type=module', '-', socketPath];
  const child = spawn(tool, ['run', ...options, '--', ...command], {
    stdio: ['pipe', 'pipe', 'inherit', 'pipe', 'pipe'],
    detached: true, // Ctrl-C reaches the demo, which ends its guests itself
  });
  createInterface({ input: child.stdout as Readable }).on('line', onLine);
  // A guest that ends before it has read them is told of below.
  for (const pipe of [child.stdin, child.stdio[waitFd]]) pipe?.on('error', () => undefined);
  (child.stdin as Writable).end(script);
  const exited = once(child, 'exit').then(() => undefined);
  const pidLine = once(createInterface({ input: child.stdio[pidFd] as Readable }), 'line') as Promise<[string]>;
  const line = await Promise.race([pidLine, exited]);
  if (line === undefined)
    throw new Fault('cannot-register', 'The guest ended before it began; the line above says why.');
  return { pid: Number(line[0]), process: child, go: () => (child.stdio[waitFd] as Writable).end('.') };
}

/**
 * A guest of root is mapped to uids that own nothing on the host. Where these uids may not run this Node (nvm in /root,
 * say), the guest keeps the host's root instead.
 */
function idmapOptions(): string[] {
  return process.getuid?.() === 0 && !isOpenToAll(process.execPath) ? ['--uid-base', '0'] : [];
}

function isOpenToAll(path: string): boolean {
  if ((statSync(path).mode & 0o001) === 0) return false;
  return path === '/' || isOpenToAll(dirname(path));
}

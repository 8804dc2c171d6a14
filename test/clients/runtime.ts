import type { ChildProcess, StdioOptions } from 'node:child_process';
import { join } from 'node:path';

export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly writable?: boolean;
  /** of mount(8), beside those */
  readonly options?: readonly string[];
}

/** The guests' directory, as docs/runtimes.md has it. */
export function devLxd(runDir: string): Mount {
  return { source: join(runDir, 'guest'), target: '/dev/lxd', options: ['nosuid', 'nodev', 'noexec'] };
}

/** A container to run: one command as its init, and the end of that is its end. */
export interface Container {
  readonly name: string;
  /** of its own, for what the runtime writes */
  readonly directory: string;
  readonly rootFileSystem: string;
  readonly mounts: readonly Mount[];
  readonly command: readonly string[];
  /** the runtime registers it itself */
  readonly hook?: Hook;
}

/** devlxd-hook, as a runtime is told to call it. */
export interface Hook {
  readonly program: string;
  readonly runDir: string;
  /** fail or ignore */
  readonly onError: string;
  /** keys of the instance */
  readonly config: Readonly<Record<string, string>>;
}

/** KEY=VALUE words of a hook. */
export function assignments({ config }: Hook): string[] {
  return Object.entries(config).map(([key, value]) => `${key}=${value}`);
}

/** A container runtime; all of them in the foreground, with the container's files below its directory. */
export interface Runtime {
  readonly name: string;
  /** of the container's root on the host */
  readonly rootUid: number;
  /** what it says when a hook fails, if it does not show what the hook has said */
  readonly hidesHooks?: RegExp;
  /** instances that its hook has made are deleted with their containers */
  readonly deletes?: true;
  /** why it is not here */
  readonly missing: () => string | undefined;
  readonly run: (container: Container) => ChildProcess;
  /** pid of the container's init on the host, once there is one */
  readonly initOf: (container: Container) => number | undefined;
}

/** How a runtime is spawned. */
export const piped: StdioOptions = ['ignore', 'pipe', 'pipe'];

/** ids in a container's id map */
export const idCount = 65_536;

import type { ChildProcess, StdioOptions } from 'node:child_process';

/** A container to run: one command as its init, and the end of that is its end. */
export interface Container {
  readonly name: string;
  /** of its own, for what the runtime writes */
  readonly directory: string;
  readonly rootFileSystem: string;
  readonly mounts: readonly { source: string; target: string; writable?: boolean }[];
  readonly command: readonly string[];
}

/** A container runtime; all of them in the foreground, with the container's files below its directory. */
export interface Runtime {
  readonly name: string;
  /** of the container's root on the host */
  readonly rootUid: number;
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

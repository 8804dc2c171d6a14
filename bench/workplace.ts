import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../src/package-root.js';

export const tools = join(packageRoot, 'build/Release');

/** A directory that guests can reach, whose uids are others: sockets, and the load's program. */
export class Workplace {
  readonly directory: string;
  readonly load: string;

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'devlxd-bench-'));
    chmodSync(this.directory, 0o755);
    this.load = join(this.directory, 'bench_load');
    process.on('exit', () => this.#remove());
    copyFileSync(join(tools, 'bench_load'), this.load);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  #remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

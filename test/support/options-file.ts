import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestDaemon } from './daemon.js';
import { eventually } from './eventually.js';

/** A file of options, and how a daemon is told to read it again. */
export class OptionsFile {
  readonly path: string;
  readonly #directory = mkdtempSync(join(tmpdir(), 'devlxd-options-'));

  constructor(text = '') {
    this.path = join(this.#directory, 'devlxd.env');
    this.write(text);
  }

  write(text: string): void {
    writeFileSync(this.path, text);
  }

  /** Gives the line in which the daemon says what came of it. */
  async reload({ pid, log }: TestDaemon, text: string): Promise<TestDaemon['log'][number]> {
    this.write(text);
    const before = log.length;
    process.kill(pid, 'SIGHUP');
    const said = () => log.slice(before).find(({ msg }) => msg.startsWith('options '));
    await eventually('it has read its options again', () => said() !== undefined);
    return said() as TestDaemon['log'][number];
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }
}

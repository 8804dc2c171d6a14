import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';

const docs = join(packageRoot, 'docs/host-api.md');

/** How a command of a client ends. */
export type Result = 'works' | 'nothing to change' | 'an error that says what to do';

/**
 * Holds that the table in docs/host-api.md has these rows of a client, no other, and in this order. With
 * DEVLXD_WRITE_DOCS=1 it writes them there.
 */
export function checkTable(client: string, version: string, results: readonly (readonly [string, Result])[]): void {
  const beginning = `| ${client} | ${version} | `;
  const rows = results.map(([command, result]) => `${beginning}\`${command}\` | ${result} |`);
  const lines = readFileSync(docs, 'utf8').split('\n');
  const isRow = (line: string): boolean => line.startsWith(beginning);
  if (process.env['DEVLXD_WRITE_DOCS'] === '1') {
    const [at] = [lines.findIndex(isRow), lines.indexOf('|---|---|---|---|') + 1].filter((index) => index > 0);
    const others = lines.filter((line) => !isRow(line));
    writeFileSync(docs, others.toSpliced(at ?? 0, 0, ...rows).join('\n'));
  } else assert.deepEqual(lines.filter(isRow), rows, 'docs/host-api.md has these rows');
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '../compare.js';
import { markdownOf } from './markdown.js';
import { pageOf } from './page.js';

/** Writes report.html and report.md into a directory, which is made when there is none. */
export function writeReport(directory: string, report: Report): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'report.html'), pageOf(report));
  writeFileSync(join(directory, 'report.md'), markdownOf(report));
}

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestDaemon } from './daemon.js';

/** Runs `serve --takeover`, which is to fail, in place of a daemon; gives its last words. */
export async function failedHandover(daemon: TestDaemon, more: readonly string[]): Promise<string> {
  const [program, ...options] = daemon.command(['--takeover', ...more]);
  const child = spawn(program, options, { stdio: ['ignore', 'inherit', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words += text;
  });
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1, words);
  return words;
}

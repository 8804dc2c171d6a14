import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';
import type { TestDaemon } from './daemon.js';

export const hookProgram = join(packageRoot, 'bin/devlxd-hook');

export interface Called {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

export interface Call {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly runDir?: string;
}

/** A hook as a runtime calls it: with an environment of its own. */
export function hooksFor(daemon: () => TestDaemon): (words: readonly string[], call?: Call) => Promise<Called> {
  return (words, call) => ran(hookProgram, words, { runDir: daemon().runDir, ...call });
}

export async function ran(
  command: string,
  words: readonly string[],
  { environment = {}, input = '', runDir }: Call = {},
): Promise<Called> {
  const began = performance.now();
  const child = spawn(command, words, {
    env: { DEVLXD_RUN_DIR: runDir, DEVLXD_HOOK_ON_ERROR: 'fail', ...environment },
  });
  child.stdin.on('error', () => undefined); // one that does not read
  child.stdin.end(input);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr, milliseconds: performance.now() - began };
}

const done = { code: 0, stdout: '', stderr: '' };

export async function works(call: Promise<Called>): Promise<void> {
  const { milliseconds, ...result } = await call;
  assert.deepEqual(result, done);
}

export async function fails(call: Promise<Called>, sentence: RegExp, code = 1): Promise<void> {
  const result = await call;
  assert.match(result.stderr, sentence);
  assert.deepEqual([result.code, result.stdout], [code, '']);
}

export function lxc(type: string, name: string, pid?: number): Call {
  const told = pid === undefined ? {} : { LXC_PID: String(pid) };
  return { environment: { LXC_NAME: name, LXC_HOOK_TYPE: type, LXC_HOOK_SECTION: 'lxc', ...told } };
}

export function state(id: string, pid: number | undefined, annotations: Record<string, string> = {}): Call {
  const status = pid === undefined ? 'stopped' : 'created';
  return { input: JSON.stringify({ ociVersion: '1.0.2', id, status, pid, bundle: '/b', annotations }) };
}

/** What a runtime says of a container that has ended: mostly no pid, or 0; some say its last one. */
export function stopped(id: string, pid: number | undefined, bundle = '/b'): Call {
  return { input: JSON.stringify({ ociVersion: '1.0.2', id, status: 'stopped', pid, bundle }) };
}

// What a script starts and leaves behind only for as long as it runs. However the script is ended, but for SIGKILL, its
// children end with it, whatever they have started, and its directories are removed. Mounts are made in the mount
// namespaces of children, and go with these.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants } from 'node:os';

/** How long a child may take to end in order. */
const patienceMilliseconds = 2000;

const running = new Set();
const directories = new Set();
let isEnding = false;

for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    isEnding = true;
    const ended = [...running].map((child) => child.closed);
    for (const child of running) child.signal('SIGTERM');
    const timer = setTimeout(() => {
      for (const child of running) child.signal('SIGKILL');
    }, patienceMilliseconds);
    await Promise.all(ended);
    clearTimeout(timer);
    process.exit(128 + constants.signals[signal]);
  });
process.on('exit', () => {
  for (const child of running) child.signal('SIGKILL');
  for (const directory of directories) remove(directory);
});

/**
 * Starts a child in a process group of its own, as which it is signalled.
 * ended: how, with all that it has written to its pipes; for ever open when this script is being ended
 */
export function start(command, words, options = {}) {
  const stdio = ['ignore', 'pipe', 'pipe'];
  const process_ = spawn(command, words, { stdio, ...options, detached: true });
  const [stdout, stderr] = [textOf(process_.stdout), textOf(process_.stderr)];
  const closed = new Promise((resolve) => {
    process_.on('error', (error) => resolve({ status: null, signal: null, error }));
    process_.on('close', (status, signal) => resolve({ status, signal }));
  });
  const child = { process: process_, closed, signal: (name) => signalGroup(process_.pid, name) };
  running.add(child);
  const ended = closed.then(({ ...how }) => {
    running.delete(child);
    child.signal('SIGKILL'); // what it has left in its group
    return isEnding ? new Promise(() => undefined) : { ...how, stdout: stdout(), stderr: stderr() };
  });
  return { ...child, ended };
}

/** Runs a child, for so many minutes at most. */
export async function run(command, words, { minutes = 20, ...options } = {}) {
  const child = start(command, words, options);
  const timer = setTimeout(() => child.signal('SIGKILL'), minutes * 60_000);
  const how = await child.ended;
  clearTimeout(timer);
  return how;
}

/** The same, which must succeed. @throws Error with what it has said */
export async function must(command, words, options) {
  const how = await run(command, words, options);
  if (how.status !== 0) throw new Error(`${command} ${words.join(' ')}: ${endOf(how)}\n${how.stdout}${how.stderr}`);
  return how;
}

export function endOf({ status, signal, error }) {
  return error?.message ?? `ended with ${signal ?? status}`;
}

/** A new directory, which is removed at the end of the script at the latest. prefix: of its path */
export function scratch(prefix) {
  const directory = mkdtempSync(prefix);
  directories.add(directory);
  return directory;
}

export function remove(directory) {
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  directories.delete(directory);
}

function signalGroup(pid, name) {
  if (pid === undefined) return; // it was never there
  try {
    process.kill(-pid, name);
  } catch {
    // nobody is left in it
  }
}

function textOf(stream) {
  let text = '';
  stream?.setEncoding('utf8').on('data', (piece) => {
    text += piece;
  });
  return () => text;
}

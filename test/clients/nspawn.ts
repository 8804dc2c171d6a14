import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assignments, type Container, piped, type Runtime } from './runtime.js';

/** systemd-nspawn without systemd: nobody is told of the machine, and nobody gives it a unit. */
export const nspawn: Runtime = {
  name: 'systemd-nspawn',
  rootUid: 0,
  missing: () => {
    const { error } = spawnSync('systemd-nspawn', ['--version']);
    return error && `needs systemd-nspawn (apt-get install systemd-container): ${error.message}`;
  },
  run: (container) => {
    const [first = '', ...others] = container.hook === undefined ? command(container) : hooked(container);
    return spawn(first, others, { stdio: piped });
  },
  initOf: ({ directory }) => initBelow(pidIn(join(directory, 'supervisor'))),
};

function command({ name, directory, rootFileSystem, mounts, command }: Container): string[] {
  const binds = mounts.map(({ source, target, writable }) => `--bind${writable ? '' : '-ro'}=${source}:${target}`);
  const quiet = ['--quiet', '--register=no', '--keep-unit', '--volatile=no', '--read-only'];
  const words = ['systemd-nspawn', ...quiet, '-M', name, '-D', rootFileSystem, ...binds, ...command];
  return ['/bin/sh', '-c', 'echo $$ >"$0"; exec "$@"', join(directory, 'supervisor'), ...words];
}

/** What the lines of a unit do: ExecStartPost= and ExecStopPost=, as docs/runtimes.md has them. */
function hooked(container: Container): string[] {
  const { directory, name, hook } = container;
  if (hook === undefined) return [];
  const script = join(directory, 'unit.sh');
  const lines = [
    '"$@" & MAINPID=$!',
    'start --supervisor $MAINPID || kill $MAINPID',
    'wait $MAINPID',
    'code=$?',
    'stop',
    'exit $code',
    '',
  ];
  const called = `${hook.program} --run-dir ${hook.runDir} --on-error ${hook.onError} nspawn`;
  const words = assignments(hook).map((word) => `'${word}'`);
  const start = `start() { ${called} start ${name} "$@" ${words.join(' ')}; }`;
  const stop = `stop() { ${called} stop ${name}; }`;
  writeFileSync(script, [start, stop, ...lines].join('\n'));
  return ['/bin/sh', script, ...command(container)];
}

function pidIn(file: string): number | undefined {
  return Number.parseInt(textOf(file), 10) || undefined;
}

function initBelow(supervisor: number | undefined): number | undefined {
  if (supervisor === undefined) return undefined;
  const children = textOf(`/proc/${supervisor}/task/${supervisor}/children`).split(' ').filter(Boolean).map(Number);
  return children.find((pid) => /^NSpid:\t\d+\t1$/m.test(textOf(`/proc/${pid}/status`)));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

// The scripts that start other programs leave nothing of them behind where they are ended half-way.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';
import { eventually } from './support/eventually.js';

let scratch: string;

before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'devlxd-ended-'));
});

after(() => rmSync(scratch, { recursive: true }));

/** One that ends by no order, with another that it has started. */
const stubborn = `trap '' HUP INT TERM
sh -c 'exec sleep 300' &
setsid sh -c 'exec sleep 300' &
touch "$MARK"
wait
`;
/** As stubborn, but what it starts stays where its caller sees it. */
const inGroup = stubborn.replace(/^setsid.*\n/m, '');

/** The processes that have this mark in their environment. */
function marked(mark: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`MARK=${mark}\0`);
    } catch {
      return false; // it has ended, or is another user's
    }
  });
}

function debootstrap(): string {
  return `[ "$1" != --version ] || exit 0\nfor last; do :; done\nmount -t tmpfs none "$last"\n${stubborn}`;
}

interface Script {
  /** a program that it runs, and what it is here */
  readonly runs: readonly [name: string, text: string];
  /** given the directories of programs and of roots */
  readonly words: (bin: string, roots: string) => string[];
  readonly signal: 'SIGINT' | 'SIGTERM';
  readonly code: number;
}

const inRoots = (_: string, roots: string): string[] => ['--roots', roots];
const scripts: Readonly<Record<string, Script>> = {
  'bench:setup': {
    runs: ['npm', inGroup],
    words: (bin) => ['--node', join(bin, 'node')],
    signal: 'SIGINT',
    code: 130,
  },
  'test:platforms': {
    runs: ['debootstrap', debootstrap()],
    words: inRoots,
    signal: 'SIGTERM',
    code: 143,
  },
  'fuzz:native': {
    runs: ['clang++-19', `case "$*" in */dev/null*) exit 0 ;; esac\n${inGroup}`],
    words: () => ['procfs'],
    signal: 'SIGTERM',
    code: 143,
  },
  'test:sanitize': {
    runs: ['g++', inGroup],
    words: () => [],
    signal: 'SIGTERM',
    code: 143,
  },
  'test:debian': {
    runs: ['debootstrap', debootstrap()],
    words: inRoots,
    signal: 'SIGINT',
    code: 130,
  },
};

for (const [title, { runs, words, signal, code }] of Object.entries(scripts))
  test(`${title}, ended by ${signal}, leaves no process, mount or file`, async (t) => {
    const directory = join(scratch, title.replace(':', '-'));
    const [temporary, roots, bin] = ['tmp', 'roots', 'bin'].map((part) => join(directory, part)) as [
      string,
      string,
      string,
    ];
    for (const part of [temporary, roots, bin]) mkdirSync(part, { recursive: true });
    writeFileSync(join(bin, runs[0]), `#!/bin/sh\n${runs[1]}`, { mode: 0o755 });
    const mark = join(directory, 'mark');
    const path = runs[0] === 'npm' ? process.env['PATH'] : `${bin}${delimiter}${process.env['PATH']}`;
    const child = spawn('npm', ['run', '--silent', title, '--', ...words(bin, roots)], {
      cwd: packageRoot,
      env: { ...process.env, PATH: path, TMPDIR: temporary, MARK: mark },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGTERM'));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const exit = once(child, 'close') as Promise<[number | null]>;
    await eventually('it is under way', () => existsSync(mark) || child.exitCode !== null);
    child.kill(signal);
    const [ended] = await exit;
    const [, why] = /^SKIPPED .*?: (.*)$/m.exec(output) ?? [];
    if (why !== undefined) return t.skip(why);
    assert.equal(ended, code);
    await eventually('all have ended', () => marked(mark).length === 0);
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(directory));
    assert.deepEqual(readdirSync(temporary), []);
    // What is not whole has not the name of what is.
    const whole = readdirSync(roots).filter((release) => !release.endsWith('.part'));
    assert.deepEqual(whole, []);
  });

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TestDaemon } from './support/daemon.js';
import { ask, exchange } from './support/http.js';

// Wherever standard error leads: the daemon goes on, and counts the lines that it could not write.

const long = `/${'x'.repeat(250)}`;
/** Enough lines to fill the pipe, and what waits behind it. */
const enough = 2000;

class Logging {
  readonly daemon = TestDaemon.prepared(['--log-level', 'debug']);
  readonly child: ChildProcess;

  constructor(stderr: 'pipe' | number, more: readonly string[] = []) {
    const [program, ...options] = this.daemon.command(more);
    this.child = spawn(program, options, { stdio: ['ignore', 'inherit', stderr] });
  }

  /** Its log cannot say so. */
  async ready(): Promise<void> {
    while (
      !(await this.lost().then(
        () => true,
        () => false,
      ))
    ) {
      assert.equal(this.child.exitCode, null);
      await pause(50);
    }
  }

  lost(): Promise<number> {
    return this.daemon.metric('devlxd_log_lines_lost_total');
  }

  /** Each of these callers, whom no instance knows, is a line. */
  async talk(times: number): Promise<void> {
    for (let n = 0; n < times; n += 20) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(connect(this.daemon.socket), long)));
      for (const { status } of answers) assert.equal(status, 500);
    }
  }

  /** Hundredths of a second of processor time. */
  get ticks(): number {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  }

  async end(): Promise<void> {
    const exit = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    assert.deepEqual(await exit, [0, null]);
    await this.daemon.remove();
  }
}

for (const format of ['json', 'pretty']) {
  test(`a log on a full disk, ${format}: it starts, serves, counts and stops`, async () => {
    const full = openSync('/dev/full', 'w');
    const logging = new Logging(full, ['--log-format', format]);
    closeSync(full);
    await logging.ready();
    const before = await logging.lost();
    assert.ok(before > 0, 'the lines of the start');
    await logging.talk(40);
    assert.ok((await logging.lost()) >= before + 40);
    await logging.end();
  });
}

test('a log whose reader has gone: it serves, counts and stops', async () => {
  const logging = new Logging('pipe');
  await once(logging.child.stderr as Readable, 'data');
  (logging.child.stderr as Readable).destroy();
  await logging.ready();
  await logging.talk(40);
  assert.ok((await logging.lost()) >= 40);
  await logging.end();
});

test('a log whose reader does not read: nothing waits for it, and later it is told how many lines it has missed', async () => {
  const logging = new Logging('pipe');
  const stderr = logging.child.stderr as Readable;
  stderr.pause();
  await logging.ready();
  await logging.talk(enough);
  assert.ok((await logging.lost()) > 0);
  const ticks = logging.ticks;
  await logging.talk(20);
  assert.ok(logging.ticks - ticks < 100, 'it does not spin');
  let text = '';
  stderr.setEncoding('utf8').on('data', (data: string) => {
    text += data;
  });
  stderr.resume();
  while (!/lines of the log were lost.*\n/.test(text)) await once(stderr, 'data');
  const lines = text
    .slice(0, text.lastIndexOf('\n'))
    .split('\n')
    .map((line) => JSON.parse(line));
  const { times } = lines.find(({ msg }) => msg === 'lines of the log were lost');
  assert.equal(times, await logging.lost());
  await logging.end();
});

test('a log for people shows what moves the cursor or hides text as escapes', async () => {
  const logging = new Logging('pipe', ['--log-format', 'pretty']);
  let text = '';
  (logging.child.stderr as Readable).setEncoding('utf8').on('data', (data: string) => {
    text += data;
  });
  await logging.ready();
  const path = '/\u202e\u2066\u200f\u0085\u{e0001}ü';
  await exchange(connect(logging.daemon.socket), `GET ${path} HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n\r\n`);
  while (!/belongs to no registered instance[\s\S]*path: .*\n/.test(text))
    await once(logging.child.stderr as Readable, 'data');
  assert.match(text, /path: "\/[^"]*202e[^"]*"/);
  assert.doesNotMatch(text, /[\u202e\u2066\u200f\u0080-\u009f\u{e0001}]/u);
  await logging.end();
});

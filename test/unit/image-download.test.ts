import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, mock, test } from 'node:test';
import { bytesFrom } from '../../src/fleet/image-download.js';
import { Certificates } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';

const minute = 60_000;
const verification = 'NODE_TLS_REJECT_UNAUTHORIZED';

/** How many seconds beyond the first minute a download of so many bytes is given. */
const secondsFor = (milliseconds: number): number => (milliseconds - minute) / 1000;

describe('images come at 16 KiB/s at least', () => {
  let directory: string;
  let server: Server;
  let connections = 0;
  /** milliseconds that a download was given; they have passed when the test says so */
  let given: number[];
  let clock: AbortController;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'devlxd-download-'));
    const certificates = new Certificates(directory);
    certificates.sign('server');
    const [key, cert] = [certificates.key('server'), certificates.certificate('server')].map((file) =>
      readFileSync(file),
    );
    // Sends a byte now and then, for ever, and so is never idle.
    server = createServer({ key, cert }, (_, response) => {
      connections++;
      const dripping = setInterval(() => response.write('x'), 5);
      response.on('close', () => {
        connections--;
        clearInterval(dripping);
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    process.env[verification] = '0'; // an authority is only made known to a process that starts
  });

  after(() => {
    delete process.env[verification];
    server.close();
    rmSync(directory, { recursive: true });
  });

  beforeEach(() => {
    given = [];
    clock = new AbortController();
    mock.method(AbortSignal, 'timeout', (milliseconds: number) => {
      given.push(milliseconds);
      return clock.signal;
    });
  });

  afterEach(() => mock.restoreAll());

  /** Each sends less than is wanted of it: a server, and a file, of which only a part is read before the time is over. */
  const origins = {
    'a server that drips': () => `https://127.0.0.1:${(server.address() as AddressInfo).port}/image`,
    'a file': () => {
      const file = join(directory, 'image');
      writeFileSync(file, Buffer.alloc(1_000_000));
      return file;
    },
  };

  for (const [what, origin] of Object.entries(origins)) {
    test(`${what} is given up when its time is over`, async () => {
      const mostBytes = 160 * 1024 * 1024;
      const bytes = await bytesFrom(origin(), mostBytes, new AbortController().signal);
      assert.deepEqual(given.map(secondsFor), [mostBytes / (16 * 1024)]);
      const reading = bytes[Symbol.asyncIterator]();
      assert.equal((await reading.next()).done, false);
      clock.abort(new Error('its time is over'));
      await assert.rejects(async () => {
        while (!(await reading.next()).done);
      }, /aborted|its time is over/);
      await eventually('nothing of it is open', () => connections === 0);
    });
  }

  test('what is small is given a minute, and nothing more than a day', async () => {
    const file = origins['a file']();
    for (const mostBytes of [0, 2 ** 50]) (await bytesFrom(file, mostBytes, new AbortController().signal)).destroy();
    assert.deepEqual(given, [minute, 24 * 60 * minute]);
  });

  test('a daemon that stops waits for none', async () => {
    const stopping = new AbortController();
    const bytes = await bytesFrom(origins['a server that drips'](), 1_000_000, stopping.signal);
    const reading = bytes[Symbol.asyncIterator]();
    assert.equal((await reading.next()).done, false);
    stopping.abort();
    await assert.rejects(async () => {
      while (!(await reading.next()).done);
    }, /aborted/);
  });
});

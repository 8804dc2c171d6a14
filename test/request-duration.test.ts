import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Gate, gateLimitNames } from '../src/gate/gate.js';
import { createApp } from '../src/gate/uws-app.js';

const request = 'GET / HTTP/1.1\r\nHost: lxd\r\n\r\n';

/** Nothing else happens on the event loop. */
function keepLoop(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

test('a request that waits while the loop does other work has taken as long', async () => {
  const gate = new Gate(
    'auto',
    { numbers: new Uint32Array(gateLimitNames.length), responseCacheBytes: 0 },
    { onInitExit: () => undefined, onHeld: () => undefined, onLetGo: () => undefined },
  );
  const app = await createApp(gate, (building) =>
    building.any('/*', (response) => {
      gate.beginRequest(response);
      gate.responseGiven(response);
      response.end('ok');
    }),
  );
  const longerThan = (seconds: number): number => {
    const { bounds, counts } = gate.measures().took;
    return counts.reduce((sum, count, at) => sum + (at > bounds.indexOf(seconds) ? count : 0), 0);
  };
  const fd = gate.admitSelfTest(process.pid);
  const client = new Socket({ fd, readable: true, writable: true });
  try {
    const ask = async (block: number): Promise<void> => {
      const answer = once(client, 'data');
      writeSync(fd, request);
      keepLoop(block);
      await answer;
    };
    await ask(0);
    const before = longerThan(0.1);
    await ask(120); // at least as long: it may have come just after the loop had looked
    assert.equal(longerThan(0.1), before + 1);
    const answer = once(client, 'data');
    setImmediate(() => keepLoop(120)); // other work, while it is there already
    writeSync(fd, request);
    await answer;
    assert.equal(longerThan(0.1), before + 2);
    // What wakes the loop has not waited, however long the sleep was: the sum would have them.
    const { sum } = gate.measures().took;
    const slept = 5;
    for (let n = 0; n < slept; n++) {
      await pause(100);
      await ask(0);
    }
    assert.ok(gate.measures().took.sum - sum < slept * 0.1);
    const { counts } = gate.measures().took;
    assert.equal(
      counts.reduce((all, count) => all + count),
      3 + slept,
    );
  } finally {
    client.destroy();
    app.close();
  }
});

import { once } from 'node:events';
import { Socket } from 'node:net';
import { bridgeBroken, Gate } from './gate.js';
import { createApp } from './uws-app.js';

const patienceMilliseconds = 5000;

const noLimits = {
  connectionsPerInstance: 0,
  connections: 0,
  unregistered: 0,
  descriptors: 0,
  pendingCallers: 0,
  holdMilliseconds: 0,
  responseCacheBytes: 0,
  requestsPerSecond: 0,
  requestBurst: 0,
};

/**
 * Proves that the gate and this build of uWebSockets.js understand each other: an adopted connection is served, its
 * caller is found again in the handler, and its end is noticed. The daemon does not start without this.
 * @throws Fault bridge-broken, with the step that failed
 */
export async function testBridge(): Promise<void> {
  const nothing = { onInitExit: () => undefined, onOddRequest: () => undefined };
  const gate = new Gate('auto', noLimits, nothing);
  let seen: number | undefined;
  const app = await createApp(gate, (building) =>
    building.any('/*', (response) => {
      gate.callerOf(response);
      seen = gate.credentialsOf(response)?.pid;
      response.end();
    }),
  );
  try {
    const fd = gate.admitSelfTest(process.pid);
    if (fd < 0) throw bridgeBroken('adopting a connection');
    const client = new Socket({ fd, readable: true, writable: true });
    client.write('GET / HTTP/1.1\r\nHost: self-test\r\n\r\n');
    await within(once(client, 'data'), 'serving an adopted connection');
    if (seen !== process.pid) throw bridgeBroken('finding the caller of a request');
    client.destroy();
    await within(closed(gate), 'noticing the end of a connection');
  } finally {
    app.close();
  }
}

async function closed(gate: Gate): Promise<void> {
  while (gate.counters().connections > 0) await new Promise(setImmediate);
}

async function within<Value>(promise: Promise<Value>, step: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(bridgeBroken(step)), patienceMilliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

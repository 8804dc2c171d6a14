import { once } from 'node:events';
import { Socket } from 'node:net';
import { bridgeBroken, Gate, gateLimitNames } from './gate.js';
import { readAnswer } from './self-test-answer.js';
import { endWithText } from './send-text.js';
import { createApp } from './uws-app.js';

const patienceMilliseconds = 5000;

const noLimits = { numbers: new Uint32Array(gateLimitNames.length), responseCacheBytes: 0 };

/** What a build may send in another encoding, or in pieces, than it counts. The last shows what is left of the others. */
const texts = [
  ['a character of Latin-1', 'mit ü'],
  ['an emoji', '😀'],
  ['70 KB', 'ü'.repeat(35 * 1024)],
  ['plain ASCII', 'ascii'],
] as const;

/**
 * Proves that the gate and this build of uWebSockets.js understand each other: an adopted connection is served, its
 * caller is found again in the handler, answers arrive as they are, and its end is noticed. The daemon does not start
 * without this.
 * @throws Fault bridge-broken, with the step that failed
 */
export async function testBridge(): Promise<void> {
  const nothing = { onInitExit: () => undefined, onHeld: () => undefined, onLetGo: () => undefined };
  const gate = new Gate('auto', noLimits, nothing);
  let seen: number | undefined;
  const app = await createApp(gate, (building) =>
    building.any('/*', (response, request) => {
      gate.beginRequest(response);
      seen = gate.credentialsOf(response)?.pid;
      const [, text] = texts[Number(request.getUrl().slice(1))] ?? ['', ''];
      gate.responseGiven(response);
      endWithText(response, text, () => {
        response.onAborted(() => undefined);
        return { bytes: Buffer.from(text), free: () => undefined };
      });
    }),
  );
  try {
    const fd = gate.admitSelfTest(process.pid);
    if (fd < 0) throw bridgeBroken('adopting a connection');
    const client = new Socket({ fd, readable: true, writable: true });
    await testAnswers(client);
    if (seen !== process.pid) throw bridgeBroken('finding the caller of a request');
    client.destroy();
    await within(closed(gate), 'noticing the end of a connection');
  } finally {
    app.close();
  }
}

/** On one connection, so that a wrong length shows: the next answer begins elsewhere. */
async function testAnswers(client: Socket): Promise<void> {
  for (const [i, [what, text]] of texts.entries()) {
    client.write(`GET /${i} HTTP/1.1\r\nHost: self-test\r\n\r\n`);
    if (i === 0) await within(once(client, 'readable'), 'serving an adopted connection');
    const body = await within(
      readAnswer(client).catch(() => undefined),
      `sending an answer with ${what}`,
    );
    if (body !== text) throw bridgeBroken(`sending an answer with ${what}`);
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

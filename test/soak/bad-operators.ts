import { request } from 'node:http';
import { socketPaths } from '../../src/config/paths.js';
import type { TestDaemon } from '../support/daemon.js';

const inherited = ['constructor', '__proto__', 'valueOf', 'hasOwnProperty', 'prototype'];
const marks = '\u202e\u2066\u200f\u001b[2J';

/** Flow maps of anchors, aliases and escapes: as much as a document that keys are merged into may have. */
export const anchoredYaml = `#cloud-config\nusers:\n- name: root\nx: &a0 ["\\x41"]\n${Array.from(
  { length: 500 },
  (_, n) => `x${n}: &a${n + 1} [*a${n}, "\\x41\\u0042"]\n`,
).join('')}`;

/** What no operator should send; each is refused, or kept as it is. */
const bodies: Readonly<Record<string, () => string>> = {
  'many keys': () =>
    JSON.stringify({ config: Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`user.${n}`, ''])) }),
  'a long key': () => JSON.stringify({ config: { [`user.${'k'.repeat(5_000_000)}`]: 'x' } }),
  'deep lists': () => `{"config":${'['.repeat(300_000)}${']'.repeat(300_000)}}`,
  'deep objects': () => `${'{"a":'.repeat(300_000)}1${'}'.repeat(300_000)}`,
  'inherited names': () =>
    `{"config":{${inherited.map((name) => `"${name}":"x","user.${name}":"x"`).join()}},"devices":{"__proto__":{"type":"disk"}}}`,
  'marks in names': () =>
    JSON.stringify({ config: { [`user.${marks}`]: marks }, devices: { [marks]: { type: 'disk', path: marks } } }),
};

const paths = [
  ...inherited.flatMap((name) => [`/1.0/${name}`, `/1.0/hooks/${name}`, `/1.0/instances?filter=${name}%20${name}%20x`]),
  `/1.0/instances/${encodeURIComponent(marks)}`,
];

function send(socketPath: string, method: string, path: string, body = ''): Promise<number> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request({ socketPath, method, path, headers, agent: false }, (response) => {
      response.resume().on('close', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', () => resolve(0)).end(body); // refused while it is sent, or the daemon is being ended
  });
}

/** An operator's program that sends what it should not, now and then. */
export class BadOperator {
  /** how often each was sent */
  sent = 0;
  /** answers that are neither a refusal nor an acceptance */
  readonly odd: string[] = [];
  readonly #daemon: TestDaemon;
  readonly #name: string;

  /** name: of the instance that it writes to */
  constructor(daemon: TestDaemon, name: string) {
    this.#daemon = daemon;
    this.#name = name;
  }

  /** The next one of them. */
  async again(): Promise<void> {
    const control = socketPaths(this.#daemon.runDir).control;
    const kinds = Object.entries(bodies);
    const [what, body] = kinds[this.sent % kinds.length] as [string, () => string];
    const path = paths[this.sent % paths.length] as string;
    this.sent++;
    const statuses = {
      [what]: await send(control, 'PATCH', `/1.0/instances/${this.#name}`, body()),
      [path]: await send(control, 'GET', path),
    };
    for (const [asked, status] of Object.entries(statuses)) if (status === 500) this.odd.push(`${asked}: ${status}`);
  }
}

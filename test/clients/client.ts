import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';
import { guestsCannotRead } from '../support/other-users.js';
import { programs } from './next-boot.js';

export interface ClientRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly chunked?: boolean;
}

export interface ClientAnswer {
  readonly status: number;
  /** lower-case names */
  readonly headers: Readonly<Record<string, string>>;
  /** base64 */
  readonly body: string;
  /** it came over the connection of the request before */
  readonly reused: boolean;
}

/** A client that people use, as a program in programs/. */
export interface Client {
  readonly name: string;
  /** Debian's package */
  readonly package: string;
  /** Makes it ready; the reason if it cannot be had. */
  readonly missing: () => string | undefined;
  /** SOCKET REQUESTS new|kept: asks a file's list of ClientRequest, prints a list of ClientAnswer */
  readonly ask?: readonly string[];
  /** SOCKET COUNT: prints that many events as they come, a line each */
  readonly listen?: readonly string[];
}

const python = '/usr/bin/python3';
const compiled = join(packageRoot, 'dist/test/clients/programs');
const goProgram = join(packageRoot, 'build/clients/net-http');
const goEnvironment = { GOCACHE: join(packageRoot, 'build/clients/go-cache'), CGO_ENABLED: '0', GO111MODULE: 'off' };

function failure(command: string, words: readonly string[], environment: NodeJS.ProcessEnv = {}): string | undefined {
  const ran = spawnSync(command, words, { encoding: 'utf8', env: { ...process.env, ...environment } });
  if (ran.status === 0) return undefined;
  return ran.error?.message ?? ran.stderr.trim().split('\n').at(-1);
}

function buildGo(): string | undefined {
  mkdirSync(goEnvironment.GOCACHE, { recursive: true });
  return failure('go', ['build', '-o', goProgram, join(programs, 'net-http.go')], goEnvironment);
}

const usages = (...program: string[]) => ({ ask: [...program, 'ask'], listen: [...program, 'listen'] });

export const clients: readonly Client[] = [
  {
    name: 'curl',
    package: 'curl',
    missing: () => failure('curl', ['--version']),
    ask: [process.execPath, join(compiled, 'curl.js'), 'ask'],
    listen: ['/bin/sh', '-c', 'curl -sN --unix-socket "$1" http://lxd/1.0/events | head -n "$2"', 'listen'],
  },
  {
    name: "Python's http.client",
    package: 'python3',
    missing: () => failure(python, ['-c', 'import http.client']),
    ...usages(python, join(programs, 'http-client.py')),
  },
  {
    name: "Python's requests",
    package: 'python3-requests',
    missing: () => failure(python, ['-c', 'import requests']),
    ...usages(python, join(programs, 'requests-client.py')),
  },
  {
    name: "Python's websocket-client",
    package: 'python3-websocket',
    missing: () => failure(python, ['-c', 'import websocket']),
    listen: [python, join(programs, 'websocket-client.py'), 'listen'],
  },
  {
    name: "Go's net/http",
    package: 'golang-go',
    missing: buildGo,
    ...usages(goProgram),
  },
  {
    name: 'node:http',
    package: 'nodejs',
    missing: () => undefined,
    ...usages(process.execPath, join(compiled, 'node-http.js')),
  },
  {
    name: "Node's ws",
    package: 'nodejs',
    missing: () => undefined,
    listen: [process.execPath, join(compiled, 'node-ws.js'), 'listen'],
  },
];

/** For node:test: whether a client can be had, and else how to get it. */
export function skipWithout({ package: name, missing }: Client): string | false {
  if (guestsCannotRead) return guestsCannotRead;
  const reason = missing();
  return reason === undefined ? false : `needs ${name} (apt-get install ${name}): ${reason}`;
}

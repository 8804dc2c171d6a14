import assert from 'node:assert/strict';
import type { LxdContainer } from './container.js';

/** What a guest was answered. */
export interface Answered {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** METHOD PATH, and with PATCH a body: what is asked of LXD and of devlxd */
export const requests = [
  'GET /',
  'GET /1.0',
  'HEAD /1.0',
  'GET /1.0/',
  'POST /1.0',
  'PATCH /1.0 {"state":"Ready"}',
  'PATCH /1.0 {"state":"x"}',
  'GET /1.0/config',
  'GET /1.0/config/user.mark',
  'GET /1.0/config/user.m%61rk',
  'GET /1.0/config/cloud-init.user-data',
  'GET /1.0/config/user.none',
  'GET /1.0/config/limits.cpu',
  'GET /1.0/config/volatile.uuid',
  'GET /1.0/meta-data',
  'GET /1.0/devices',
  'GET /1.0/images/none/export',
  'GET /1.0/nothing',
] as const;

const asking = `SOCKET=$1; shift
while [ $# -gt 0 ]; do
  set -- "$@" # METHOD PATH BODY
  curl -s -i -X "$1" $([ "$1" = HEAD ] && echo -I) \${3:+-d "$3"} --unix-socket "$SOCKET" "http://lxd$2"
  printf '\\0'
  shift 3
done`;

/** Asks all of them, in order, each on a new connection. */
export async function askAll(container: LxdContainer, socket = '/dev/lxd/sock'): Promise<Map<string, Answered>> {
  const words = requests.flatMap((request) => {
    const [method = '', path = '', body = ''] = request.split(' ');
    return [method, path, body];
  });
  const answers = (await container.does('sh', '-c', asking, 'sh', socket, ...words)).split('\0');
  return new Map(requests.map((request, index) => [request, answeredOf(answers[index] ?? '')]));
}

function answeredOf(text: string): Answered {
  const end = text.indexOf('\r\n\r\n');
  const head = text.slice(0, end);
  const [, status] = /^HTTP\/1\.1 (\d+)/.exec(head) ?? [];
  const [, type = ''] = /^content-type: (.*?)\r?$/im.exec(head) ?? [];
  return { status: Number(status), type, body: text.slice(end + 4) };
}

export function lineOf({ status, type, body }: Answered): string {
  return [status, type, JSON.stringify(body)].join(' ');
}

/**
 * What asker.py was answered while a daemon has ended and started. As it starts, it removes the name, binds its own
 * socket, and closes the connections that come there without an answer, until devlxd has renamed its own over it a moment
 * later: a guest may find no socket, or that one. But whatever devlxd answers is right.
 */
export function assertNoAnswerIsWrong(wrong: Readonly<Record<string, number>>): void {
  for (const failure of Object.keys(wrong)) assert.match(failure, /^(?:\w+Error\(|not by devlxd: | $)/);
}

import { hostname } from 'node:os';
import { type Answered, lineOf } from './answers.js';

/** Where devlxd answers otherwise than LXD 5.0.2, and why; docs/lxd.md has the same table. */
interface Improvement {
  readonly lxd: string;
  readonly devlxd: string;
  readonly why: string;
}

const raw = 'it says that it is UTF-8: cloud-init need not guess';
const lxdRaw = '200 application/octet-stream';
const ownRaw = '200 application/octet-stream; charset=utf-8';
const text = 'text/plain; charset=utf-8';
const own = {
  state: 'Started',
  api_version: '1.0',
  instance_type: 'container',
  location: hostname(),
  auth: 'untrusted',
  supported_storage_drivers: [],
};
const lxdAnswer = line(
  '200 application/json',
  '{"state":"","api_version":"1.0","instance_type":"container","location":"none"}\n',
);
const ownAnswer = line('200 application/json', `${JSON.stringify(own)}\n`);
const forbidden: Improvement = {
  lxd: line(`403 ${text}`, 'not authorized\n'),
  devlxd: line(`403 ${text}`, 'Forbidden\n'),
  why: "the sentence of today's LXD",
};
const values = {
  'user.mark': 'mark of c1',
  'user.m%61rk': 'mark of c1',
  'cloud-init.user-data': '#cloud-config\n',
};

export const improvements: Readonly<Record<string, Improvement>> = {
  'GET /1.0': { lxd: lxdAnswer, devlxd: ownAnswer, why: "the state is never empty; the fields of today's LXD" },
  'GET /1.0/': { lxd: line(`404 ${text}`, '404 page not found\n'), devlxd: ownAnswer, why: 'the same as /1.0' },
  'POST /1.0': { lxd: lxdAnswer, devlxd: line(`501 ${text}`, 'Not Implemented\n'), why: 'LXD takes it for GET' },
  'PATCH /1.0 {"state":"Ready"}': { lxd: lxdAnswer, devlxd: line(ownRaw, ''), why: 'LXD takes it for GET' },
  'PATCH /1.0 {"state":"x"}': {
    lxd: lxdAnswer,
    devlxd: line(`400 ${text}`, 'Invalid state "x"\n'),
    why: 'LXD takes it for GET',
  },
  'GET /1.0/config/user.none': {
    lxd: line(`404 ${text}`, 'not found\n'),
    devlxd: line(`404 ${text}`, 'Not Found\n'),
    why: "the sentence of today's LXD",
  },
  'GET /1.0/nothing': {
    lxd: line(`404 ${text}`, '404 page not found\n'),
    devlxd: line(`404 ${text}`, 'Not Found\n'),
    why: "the sentence of today's LXD",
  },
  'GET /1.0/config/limits.cpu': forbidden,
  'GET /1.0/config/volatile.uuid': forbidden,
  'GET /1.0/images/none/export': {
    lxd: forbidden.lxd,
    devlxd: line(
      '403 application/json',
      '{"type":"error","status":"","status_code":0,"operation":"","error_code":403,"error":"Forbidden","metadata":null}\n',
    ),
    why: "the envelope of today's LXD",
  },
  ...Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      `GET /1.0/config/${key}`,
      { lxd: line(lxdRaw, value), devlxd: line(ownRaw, value), why: raw },
    ]),
  ),
};

/** The same of a list, in whatever order LXD gives it. */
export function sortedOf(ofLxd: Answered): Improvement {
  const body = `${JSON.stringify((JSON.parse(ofLxd.body) as string[]).sort())}\n`;
  return { lxd: lineOf(ofLxd), devlxd: lineOf({ ...ofLxd, body }), why: "sorted; LXD's order is another each time" };
}

/** The same of meta-data, whose id is another each time. */
export function metaDataOf(instanceId: string): Improvement {
  const value = `#cloud-config\ninstance-id: ${instanceId}\nlocal-hostname: c1\n`;
  return { lxd: line(lxdRaw, value), devlxd: line(ownRaw, value), why: raw };
}

function line(head: string, body: string): string {
  return `${head} ${JSON.stringify(body)}`;
}

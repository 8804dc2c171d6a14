import type { Guest } from '../support/guest-processes.js';
import { exchange } from '../support/http.js';

/** What is asked at each boot, in cloud-init's order, each on a connection of its own. */
const paths = [
  '/1.0',
  '/1.0/meta-data',
  '/1.0/config',
  '/1.0/config/user.mark',
  '/1.0/config/cloud-init.user-data',
  '/1.0/devices',
] as const;

/** A guest that behaves, and what is known of it: what it is answered must agree. */
export class HonestGuest {
  readonly n: number;
  name: string;
  guest: Guest;
  /** of its configuration: the last one that an operator was told is written, and the last one that was asked for */
  version = { written: 0, asked: 0 };
  /** an operator is at it */
  busy = false;
  /** its connections are being cut on purpose: it is stopped, or its init killed; and how often they have been */
  isCut = false;
  cuts = 0;

  constructor(n: number, guest: Guest) {
    this.n = n;
    this.name = `guest${n}`;
    this.guest = guest;
  }

  config(version: number): Record<string, string> {
    const mark = `${version} of guest ${this.n}`;
    return { 'user.mark': mark, 'cloud-init.user-data': `#cloud-config\n# ${mark}\n` };
  }

  /** Is it right, for a version from this one on? */
  isRight(path: string, body: string, name: string, oldest: number): boolean {
    switch (path) {
      case '/1.0':
        return JSON.parse(body).api_version === '1.0';
      case '/1.0/meta-data':
        return [name, this.name].some((known) => body.endsWith(`\nlocal-hostname: ${known}\n`));
      case '/1.0/config':
        return body === '["/1.0/config/cloud-init.user-data","/1.0/config/user.mark"]\n';
      case '/1.0/devices':
        return body === '{}\n';
    }
    const [, version, n] = /(\d+) of guest (\d+)/.exec(body) ?? [];
    return Number(n) === this.n && Number(version) >= oldest && Number(version) <= this.version.asked;
  }
}

/** What came of all requests of honest guests. */
export class Tally {
  answered = 0;
  /** of each answer to a request of this phase, milliseconds */
  latencies: number[] = [];
  /** the daemon was killed, or the guest, while they were under way: they are made again */
  interrupted = 0;
  readonly failures: string[] = [];
  /** how often the daemon was killed; it is being killed, and started again */
  kills = 0;
  isKilling = false;
}

/** One boot of a guest: all requests, again where they were interrupted. */
export async function boot(honest: HonestGuest, socket: string, tally: Tally): Promise<void> {
  for (const path of paths) {
    while (!(await request(honest, socket, path, tally))) if (tally.failures.length > 0) return;
  }
}

/** False: it was interrupted, or failed. */
async function request(honest: HonestGuest, socket: string, path: string, tally: Tally): Promise<boolean> {
  const { name, cuts } = honest;
  const { kills, latencies } = tally;
  const oldest = honest.version.written;
  const began = performance.now();
  let reply: string;
  try {
    const head = `GET ${path} HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n\r\n`;
    reply = await exchange(honest.guest.connect(socket), head);
  } catch (error) {
    reply = String(error);
  }
  const [head = '', body = ''] = reply.split('\r\n\r\n', 2);
  if (head.startsWith('HTTP/1.1 200') && honest.isRight(path, body, name, oldest)) {
    latencies.push(performance.now() - began);
    tally.answered++;
    return true;
  }
  const isCut = honest.isCut || honest.cuts !== cuts;
  const isUnknown = head.startsWith('HTTP/1.1 500') && body === 'Process ID not found in container\n';
  // Who waits to be known when the daemon ends is told to ask again: cloud-init does, after a 500.
  const isKilled = tally.isKilling || tally.kills !== kills;
  if (isUnknown ? isCut : !head.startsWith('HTTP/') && (isCut || isKilled)) {
    tally.interrupted++;
    return false;
  }
  tally.failures.push(`guest ${honest.n}: ${path} (version ${oldest} or later): ${JSON.stringify(reply)}`);
  return false;
}

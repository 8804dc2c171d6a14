import { connect, type Socket } from 'node:net';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import type { Connecting, Guest } from '../support/guest-processes.js';

/** Until when an attack goes on, and where. */
export interface Target {
  readonly path: string;
  readonly isOver: () => boolean;
}

/** Does harm; gives how often. */
export type Attack = (guest: Guest, target: Target) => Promise<number>;

/** More connections than an instance may have. */
const many = 200;
const get = 'GET /1.0/config/user.big HTTP/1.1\r\nHost: lxd\r\n\r\n';
const upgrade =
  'GET /1.0/events HTTP/1.1\r\nHost: lxd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const events = 'GET /1.0/events HTTP/1.1\r\nHost: lxd\r\n\r\n';
const megabyte = Buffer.alloc(1 << 20, 'x');

/** A masked frame of a client: opcode 9 is a ping, 1 a text. */
function frame(opcode: number, length: number): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | length, 0, 0, 0, 0]), Buffer.alloc(length, 'p')]);
}
const pings = Buffer.concat(Array.from({ length: 500 }, () => frame(9, 125)));
const emptyFrames = Buffer.concat(Array.from({ length: 5000 }, () => frame(1, 0)));
const oneByteChunks = `${'1\r\na\r\n'.repeat(10_000)}0\r\n\r\n`;

/** Holds that many connections, on each of which `begin` is done; a new one for each that is closed. */
function holding(count: number, begin: (socket: Socket) => void, connecting: Connecting = {}): Attack {
  return async (guest, { path, isOver }) => {
    const open = new Set<Socket>();
    let begun = 0;
    while (!isOver()) {
      for (let n = 0; n < 20 && open.size < count; n++) {
        const socket = guest.connect(path, connecting);
        open.add(socket);
        socket.on('error', () => undefined).on('close', () => open.delete(socket));
        begin(socket);
        begun++;
      }
      await (connecting.dies === undefined ? turn() : pause(100)); // each of these is a process
    }
    for (const socket of open) socket.destroy();
    return begun;
  };
}

/** Writes the same again and again, as fast as it is taken. */
function pouring(first: string, then: string | Buffer, reads: boolean): (socket: Socket) => void {
  return (socket) => {
    const send = (): void => void (socket.writable && socket.write(then));
    socket.on('drain', send);
    if (reads) socket.resume();
    else socket.pause();
    socket.write(first);
    send();
  };
}

/** Asks as fast as it is answered, for ever. */
function asking(requests: readonly string[]): (socket: Socket) => void {
  return (socket) => {
    let n = 0;
    const ask = (): void => void socket.write(requests[n++ % requests.length] as string);
    socket.on('data', ask);
    ask();
  };
}

/** The pieces of a request, each in a segment of its own. */
function inPieces(...pieces: readonly string[]): (socket: Socket) => void {
  return async (socket) => {
    socket.setNoDelay(true).resume();
    for (const piece of pieces) {
      socket.write(piece);
      await pause(1);
    }
  };
}

function request(method: string, target: string, headers = 'Host: lxd\r\n', body = ''): string {
  const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
  return `${method} ${target} HTTP/1.1\r\n${headers}${length}\r\n${body}`;
}

const inherited = ['constructor', 'valueOf', 'toString', '__proto__', 'hasOwnProperty'];
const marks = '%E2%80%AE%E2%81%A6%1B%5B2J';

function patched(body: string): string {
  return request('PATCH', '/1.0', 'Host: lxd\r\n', body);
}

/** One instance for each, by what it does. Each is bounded in connections, and lasts as long as the soak. */
export const attacks: Readonly<Record<string, Attack>> = {
  'connection-flood': holding(many, () => undefined),
  'connect-and-close': async (guest, { path, isOver }) => {
    let done = 0;
    for (; !isOver(); done++) {
      guest
        .connect(path)
        .on('error', () => undefined)
        .destroy();
      await turn();
    }
    return done;
  },
  'half-open-requests': holding(many, (socket) => void socket.write('GET /1.0 HTTP/1.1\r\nHos')),
  'deaf-listeners': holding(many, (socket) => void socket.write(Math.random() < 0.5 ? upgrade : events)),
  'huge-bodies': holding(
    4,
    pouring(`PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nContent-Length: ${2 ** 40}\r\n\r\n`, megabyte, true),
  ),
  'request-flood': holding(4, (socket) => {
    socket.on('data', () => socket.write(get));
    socket.write(get.repeat(100));
  }),
  'unread-answers': holding(4, (socket) => void socket.pause().write(get.repeat(1000))),
  'one-byte-chunks': holding(
    32,
    pouring('', `PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nTransfer-Encoding: chunked\r\n\r\n${oneByteChunks}`, true),
  ),
  'chunks-before-a-refusal': holding(
    8,
    pouring('', `POST /1.0/nothing HTTP/1.1\r\nHost: lxd\r\nTransfer-Encoding: chunked\r\n\r\n${oneByteChunks}`, true),
  ),
  'unread-pongs': holding(8, pouring(upgrade, pings, false)),
  'empty-frames': holding(8, pouring(upgrade, emptyFrames, true)),
  'garbage-into-streams': holding(8, pouring(events, megabyte, true)),
  'odd-listeners': holding(16, (socket) => {
    socket.write(Math.random() < 0.5 ? request('GET', 'http://lxd/1.0/events') : 'GET /1.0/events HTTP/1.0\r\n\r\n');
    setTimeout(() => (Math.random() < 0.5 ? socket.end() : socket.destroy()), 500).unref();
  }),
  'since-listeners': holding(128, (socket) => {
    socket.pause().write(request('GET', '/1.0/events?since=2020-01-01T00:00:00Z'));
  }),
  'dead-callers': holding(16, (socket) => void socket.write(get), { dies: 'exit' }),
  'other-users': async (guest, { path, isOver }) => {
    if (process.getuid?.() !== 0) return 1; // an ordinary user's guests have one user
    const held = Array.from({ length: 24 }, () => guest.connect(path, { uid: 1000 }).on('error', () => undefined));
    for (const socket of held) socket.write(get);
    while (!isOver()) await pause(100);
    for (const socket of held) socket.destroy();
    return held.length;
  },
  'abandoned-images': holding(8, (socket) => {
    socket.write(request('GET', `/1.0/images/${'a'.repeat(64)}/export`));
    setImmediate(() => socket.destroy());
  }),
  'odd-methods': holding(
    4,
    asking(inherited.flatMap((name) => [request(name, `/1.0?${'q'.repeat(2000)}`), request('GET', `/1.0/${name}`)])),
  ),
  'requests-in-pieces': holding(
    8,
    inPieces(
      'HE',
      'AD /1.0 HTTP/1.1\r\nHost: l\r\n\r\nGE',
      'T http://lxd/1.0 HTTP/1.1\r\n',
      'Host: l\r\n\r\n',
      'PATCH /1.0 HTTP/1.1\r\nHost: l\r\nContent-Length: 0\r\n',
      '\r\n',
    ),
  ),
  'long-lists': holding(4, asking([request('GET', '/1.0/config'), request('GET', '/1.0/devices')])),
  'flapping-states': holding(4, asking(['Ready', 'Started'].map((state) => patched(JSON.stringify({ state }))))),
  'inherited-names': holding(
    4,
    asking(
      inherited.flatMap((name) => [
        patched(`{"${name}":{"${name}":1},"state":"${name}"}`),
        request('GET', `/1.0/config/user.${name}?${name}=${name}`),
        request('GET', `/1.0/events?type=${name}&since=${name}`),
      ]),
    ),
  ),
  'deep-bodies': holding(
    4,
    asking([patched(`${'['.repeat(30_000)}${']'.repeat(30_000)}`), patched(`[${'{},'.repeat(20_000)}{}]`)]),
  ),
  'anchored-yaml': holding(4, asking([request('GET', '/1.0/config/cloud-init.user-data')])),
  'marks-in-requests': holding(
    4,
    asking([
      request('GET', `/1.0/config/user.${marks}`),
      request('GET', `/1.0/events?since=${marks}`),
      patched(`{"state":"\\u202e"}`),
    ]),
  ),
};

/** Of guests that no operator has registered: each connection is held, and then told that it is of no instance. */
export const byStrangers: Readonly<Record<string, Attack>> = {
  'strangers-that-ask': holding(many, (socket) => void socket.resume().write(get)),
  'silent-strangers': holding(many, () => undefined),
};

/** What a user of the host does, whom no instance knows: more connections than one may have. */
function ofHost(begin: (socket: Socket) => void): (target: Target) => Promise<number> {
  return async ({ path, isOver }) => {
    let done = 0;
    while (!isOver()) {
      const open = Array.from({ length: 48 }, () => connect(path).on('error', () => undefined));
      for (const socket of open) begin(socket);
      done += open.length;
      await pause(200);
      for (const socket of open) socket.destroy();
    }
    return done;
  };
}

export const byHostUser: Readonly<Record<string, (target: Target) => Promise<number>>> = {
  'host-chunks': ofHost(
    pouring('', `PATCH /1.0 HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: chunked\r\n\r\n${oneByteChunks}`, true),
  ),
  'host-half-heads': ofHost((socket) => void socket.write('GET /1.0 HTTP/1.1\r\nHos')),
  'host-listeners': ofHost((socket) => void socket.pause().write(upgrade)),
  'host-endless-bodies': ofHost(
    pouring(request('PATCH', '/1.0', `Host: l\r\nContent-Length: ${2 ** 40}\r\n`), megabyte, true),
  ),
  'host-odd-methods': ofHost(
    (socket) => void socket.resume().write(inherited.map((name) => request(name, `/${name}`)).join('')),
  ),
  'host-silence': ofHost(() => undefined),
};

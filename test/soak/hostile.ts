// Guests that do harm, in a process of their own. Prints their pids, by what they do; begins when it is told anything;
// ends with standard input, and prints how often each has done it.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { type Guest, Guests } from '../support/guest-processes.js';

const [, , path = ''] = process.argv;
const get = 'GET /1.0/config/user.big HTTP/1.1\r\nHost: lxd\r\n\r\n';
const upgrade =
  'GET /1.0/events HTTP/1.1\r\nHost: lxd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const megabyte = Buffer.alloc(1 << 20, 'x');
/** More than an instance may have. */
const many = 200;

let over = false;

/** Holds that many connections, on each of which the same is done; a new one for each that is closed. */
async function hold(guest: Guest, count: number, begin: (socket: Socket) => void): Promise<number> {
  const open = new Set<Socket>();
  let begun = 0;
  while (!over) {
    for (let n = 0; n < 20 && open.size < count; n++) {
      const socket = guest.connect(path);
      open.add(socket);
      socket.on('error', () => undefined).on('close', () => open.delete(socket));
      begin(socket);
      begun++;
    }
    await turn();
  }
  for (const socket of open) socket.destroy();
  return begun;
}

/** Does the same over and over. */
async function repeat(action: () => Promise<void>): Promise<number> {
  let done = 0;
  for (; !over; done++) {
    await action().catch(() => undefined);
    await turn();
  }
  return done;
}

/** Asks as fast as it is answered, forever. */
function flood(socket: Socket): void {
  socket.on('data', () => socket.write(get));
  socket.write(get.repeat(100));
}

const attacks: Readonly<Record<string, (guest: Guest) => Promise<number>>> = {
  'connection-flood': (guest) => hold(guest, many, () => undefined),
  'connect-and-close': (guest) => repeat(async () => void guest.connect(path).destroy()),
  'half-open-requests': (guest) => hold(guest, many, (socket) => socket.write('GET /1.0 HTTP/1.1\r\nHos')),
  'deaf-listeners': (guest) =>
    hold(guest, many, (socket) =>
      socket.write(Math.random() < 0.5 ? upgrade : 'GET /1.0/events HTTP/1.1\r\nHost: lxd\r\n\r\n'),
    ),
  'huge-bodies': (guest) =>
    hold(guest, 4, (socket) => {
      const send = () => void (socket.writable && socket.write(megabyte));
      socket.on('drain', send).resume();
      socket.write(`PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nContent-Length: ${2 ** 40}\r\n\r\n`);
      send();
    }),
  'request-flood': (guest) => hold(guest, 4, flood),
  'unread-answers': (guest) => hold(guest, 4, (socket) => void socket.pause().write(get.repeat(1000))),
};

const guests = new Guests();
const all = Object.keys(attacks).map((name) => [name, guests.one()] as const);
process.stdout.write(`${JSON.stringify(Object.fromEntries(all.map(([name, { pid }]) => [name, pid])))}\n`);
await once(process.stdin, 'data');
process.stdin.on('end', () => {
  over = true;
});
const counts = await Promise.all(all.map(async ([name, guest]) => [name, await attacks[name]?.(guest)] as const));
process.stdout.write(`${JSON.stringify(Object.fromEntries(counts))}\n`);
await guests.close();

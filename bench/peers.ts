import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ownHeaders } from './answer.js';
import { Child } from './child.js';
import type { Bench, Server, Side } from './trial.js';
import { tools } from './workplace.js';

/** As many bytes as an event of a change that Daemon.announce() makes. */
const configEvent = JSON.stringify({
  type: 'config',
  timestamp: '2026-11-23T21:55:00.123456789Z',
  metadata: { key: 'user.event', old_value: '1', value: '2' },
});

/** The words that start a peer on a socket. */
type Command = (socket: string, bench: Bench) => readonly string[];

const floor: Command = (socket, { answer }) => [
  join(tools, 'bench_floor'),
  '--socket',
  socket,
  '--head',
  answer.head,
  '--body',
  answer.body,
];
export const script = (name: string): string[] => [process.execPath, join(import.meta.dirname, 'peers', name)];

/** A C++ loop with a canned answer: accept4 and SO_PEERCRED. */
export const floorPlain = peer('floor', floor);

/** The same with all that devlxd asks the kernel about a connection. */
export const floorIdentify = peer('floor-identify', (socket, bench) => [...floor(socket, bench), '--mode', 'identify']);

/** Its listeners get one text frame, as devlxd's do: for a byte on its standard input. */
export const floorFanout = peer('floor', (socket) => [
  join(tools, 'bench_floor'),
  '--socket',
  socket,
  '--fanout',
  '--body',
  configEvent,
]);

export const uws = peer('uws', (socket, { answer }) => [...script('uws.js'), socket, answer.body]);

export const http = peer('http', (socket, { answer }) => [
  ...script('http.js'),
  socket,
  answer.body,
  JSON.stringify(ownHeaders(answer.head)),
]);

/** A side that is a program: prints "ready", ends with its standard input, knows no guests. */
export function peer(name: string, command: Command): Side {
  return { name, start: (bench) => startPeer(name, command, bench) };
}

async function startPeer(name: string, command: Command, bench: Bench): Promise<Server> {
  const socket = bench.workplace.path(`${name}.sock`);
  rmSync(socket, { force: true }); // of the trial before: not everyone takes it away
  const child = new Child(name, [...bench.pins.server, ...command(socket, bench)]);
  const line = await child.next(child.lines());
  if (line !== 'ready') throw new Error(`${name} said "${line}" instead of "ready"`);
  return {
    socket,
    pid: child.pid,
    admit: async () => undefined,
    announce: async () => child.send('.'),
    stop: async () => {
      const code = await child.end();
      return code === 0 ? [] : [`${name} ended with ${code}: ${child.complaints}`];
    },
  };
}

import type { Socket } from 'node:net';
import type { Guest } from './guest-processes.js';

export const getOf = (path: string) => `GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`;

/** A connection of a guest that says this and reads nothing. */
export function stalled(from: Guest, socketPath: string, text = ''): Socket {
  const socket = from.connect(socketPath);
  socket.on('error', () => undefined).on('close', () => undefined);
  socket.pause();
  if (text !== '') socket.write(text);
  return socket;
}

import { lstatSync, type Stats } from 'node:fs';
import { constants } from 'node:os';
import { Fault } from '../errors.js';
import { addon, type Failure } from './addon.js';
import { check, describe, descriptorOf } from './failure.js';
import { getSystemErrorName } from './system-error.js';

/** Says what is in the place of a socket that is to be made, where it is none and so is not replaced; undefined: nothing is. */
export function inPlaceOf(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isSocket()) return undefined;
  return `${path} is ${kindOf(found)}, not a socket; remove it`;
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a directory';
  if (found.isSymbolicLink()) return 'a symbolic link';
  return found.isFile() ? 'a file' : 'a FIFO or a device';
}

/**
 * A listening Unix socket with exactly this mode. A socket file without a listener is replaced.
 * @param option of the command line, which chooses the path
 * @throws Fault socket-in-use
 */
export function listenUnix(path: string, mode: number, backlog: number, option = '--run-dir'): number {
  const result = addon.listenUnix(path, mode, backlog);
  if (typeof result === 'number') return result;
  if (getSystemErrorName(result.errno) === 'EADDRINUSE') {
    const why = inPlaceOf(path) ?? `Another process listens on ${path}; stop it`;
    throw new Fault('socket-in-use', `${why}, or choose another ${option}.`);
  }
  throw new Error(`Cannot listen on ${path}: ${describe(result)}`);
}

/**
 * Sends a part of a file to a non-blocking socket, on another thread. The descriptors may be closed meanwhile.
 * @returns the bytes sent; fewer than length: the reader is slow, wait until the socket takes more
 * @throws Error, when the reader has gone or the file is shorter
 */
export async function sendFile(socket: number, file: number, offset: number, length: number): Promise<number> {
  const sent = await addon.sendFile(socket, file, offset, length);
  check(sent, 'sending a file');
  return sent.bytes;
}

/** Another descriptor of the same open file; least: its number is the first one from there on that is free */
export function duplicate(fd: number, least = 0): number {
  return descriptorOf(addon.duplicate(fd, least), 'copying a descriptor');
}

/** Is it one end of a connection of a guest or an operator: between two Unix sockets, or of vsock(7)? */
export function isConnection(fd: number): boolean {
  return addon.isConnection(fd);
}

/** Is it a listening stream socket? unixOnly: a Unix socket, and no other */
export function listens(fd: number, unixOnly = true): boolean {
  return addon.listens(fd, unixOnly);
}

/** The socket gives what has arrived, and then its end, whatever the peer does. The descriptor stays its owner's. */
export function stopReading(fd: number): void {
  addon.stopReading(fd);
}

/** A blocking connection, or why there is none. */
export function connectUnix(path: string): number | Failure {
  return addon.connectUnix(path);
}

/** How long a message waits for a reader that is behind. */
const sendMilliseconds = 5000;

/** Sends text with copies of these descriptors. @throws Error */
export function sendMessage(socket: number, text: string, descriptors: readonly number[] = []): void {
  check(addon.sendMessage(socket, text, descriptors, sendMilliseconds), 'handing descriptors over');
}

/** The same without waiting. False: the reader is behind, and nothing was sent. @throws Error */
export function trySendMessage(socket: number, text: string, descriptors: readonly number[]): boolean {
  const failure = addon.sendMessage(socket, text, descriptors, 0);
  if (failure.errno === constants.errno.EAGAIN) return false;
  check(failure, 'handing descriptors over');
  return true;
}

/**
 * The next piece of text and the descriptors sent with it; empty: the other side has closed; undefined: nothing came
 * in time. @throws Error
 */
export async function receiveMessage(
  socket: number,
  seconds = Number.POSITIVE_INFINITY,
): Promise<{ text: string; descriptors: number[] } | undefined> {
  const milliseconds = Number.isFinite(seconds) ? seconds * 1000 : -1;
  const message = await addon.receiveMessage(socket, milliseconds);
  if (message.errno === constants.errno.ETIMEDOUT) return undefined;
  check(message, 'receiving descriptors');
  return { text: message.bytes, descriptors: message.descriptors };
}

/** One message for the service manager at a path ($NOTIFY_SOCKET). @throws Error */
export function notifyManager(
  path: string,
  text: string,
  descriptors: readonly number[] = [],
  waitMilliseconds = sendMilliseconds,
): void {
  check(addon.notifyManager(path, text, descriptors, waitMilliseconds), 'telling the service manager');
}

/** The same without waiting. False: it was not told, since it is behind or has gone. */
export function tryNotifyManager(path: string, text: string, descriptors: readonly number[] = []): boolean {
  return addon.notifyManager(path, text, descriptors, 0).errno === 0;
}

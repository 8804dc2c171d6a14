import { closeSync, existsSync } from 'node:fs';
import { dialects, type SourceSetting } from '../config/dialects.js';
import { connectUnix } from '../gate/unix-socket.js';

/**
 * Where a source's API is now. LXD as a package and LXD as a snap have their sockets at different places: unless
 * --source names one, it is the first at which a daemon listens.
 */
export function socketPathOf({ name, socketPath }: SourceSetting): string {
  const { socketPath: usual, snapSocketPath } = dialects[name];
  if (socketPath !== usual || snapSocketPath === undefined || !existsSync(snapSocketPath)) return socketPath;
  return existsSync(socketPath) && isListening(socketPath) ? socketPath : snapSocketPath;
}

function isListening(path: string): boolean {
  const fd = connectUnix(path);
  if (typeof fd !== 'number') return false;
  closeSync(fd);
  return true;
}

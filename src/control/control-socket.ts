import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { userInfo } from 'node:os';
import type { Credentials } from '../gate/gate.js';
import { duplicate } from '../gate/unix-socket.js';
import type { Requestor } from '../model/changes.js';

/** A connection with the uid and pid of its peer, named as LXD names callers of its own socket. */
export class ControlSocket extends Socket {
  readonly fd: number;
  readonly uid: number;
  readonly pid: number;
  readonly requestor: Requestor;
  /** what has been read of it, when everything that had been read was answered */
  #answeredBytes = 0;
  #inFlight = 0;

  constructor(fd: number, { uid, pid }: Credentials) {
    super({ fd, readable: true, writable: true });
    this.fd = fd;
    this.uid = uid;
    this.pid = pid;
    this.requestor = {
      username: nameOf(uid),
      protocol: 'unix',
      address: '@',
    };
  }

  /** A request has come on it; response: what it will be answered with */
  asked(response: ServerResponse): void {
    this.#inFlight++;
    response.once('close', () => {
      this.#inFlight--;
      this.#answeredBytes = this.bytesRead;
    });
  }

  /** It is no connection for requests any more. */
  upgraded(): void {
    this.#inFlight++;
  }

  /**
   * The connection for another process to go on with, and not for this one any more; undefined: something is under way.
   * What has not been read of it yet goes along.
   */
  takeForHandover(): number | undefined {
    if (this.destroyed || this.#inFlight > 0 || this.bytesRead !== this.#answeredBytes) return undefined;
    const copy = duplicate(this.fd);
    this.destroy();
    return copy;
  }
}

/** Node can look up the name of its own user only; that of root is known. */
function nameOf(uid: number): string {
  if (uid === 0) return 'root';
  try {
    if (uid === process.getuid?.()) return userInfo().username;
  } catch {} // it has no line in /etc/passwd
  return `uid=${uid}`;
}

import type { ServerResponse } from 'node:http';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { userInfo } from 'node:os';
import type { Credentials } from '../gate/gate.js';
import { duplicate } from '../gate/unix-socket.js';
import type { Requestor } from '../model/changes.js';
import { idleSeconds } from './answer.js';
import { type PlainRequest, plainRequestIn } from './plain-request.js';

/** Where all connections are read into: what is in it is used, or copied, before anything else is read. */
const arrivals = Buffer.allocUnsafe(64 * 1024);

/** How long a connection may ask nothing at first; as node:http has it. */
const silentSeconds = 60;

/** What becomes of what a connection reads. */
export interface Readers {
  /** Begins to answer a request; false: it is not for this */
  direct(request: PlainRequest, socket: ControlSocket): boolean;
  /** Reads the connection from here on. */
  parse(socket: ControlSocket): void;
}

/**
 * A connection with the uid and pid of its peer, named as LXD names callers of its own socket. One request after the
 * other is read in one look, as long as each is plain and comes whole, after the answer to the one before; from the
 * first that does not on all of it is read by node:http, and answered in the same way.
 */
export class ControlSocket extends Socket {
  readonly fd: number;
  readonly uid: number;
  readonly pid: number;
  readonly requestor: Requestor;
  readonly #readers: Readers;
  /** node:http has it */
  #isParsed = false;
  /** called when the request that is being answered has been, or cannot be any more */
  #underWay: (() => void) | undefined;
  /** what came behind that request */
  #behind: Buffer | undefined;
  #isKept = false;
  readonly #whenTaken = (): void => this.answered();
  /** of node:http: what has been read of it, when everything that had been read was answered */
  #answeredBytes = 0;
  #inFlight = 0;

  constructor(fd: number, { uid, pid }: Credentials, readers: Readers) {
    let arrived = (_bytes: Buffer): boolean => true;
    const onread = { buffer: arrivals, callback: (length: number) => arrived(arrivals.subarray(0, length)) };
    // Half-open, for clients that say before the answer that they ask for nothing more.
    const options: SocketConstructorOpts & ConnectOpts = {
      fd,
      readable: true,
      writable: true,
      allowHalfOpen: true,
      onread,
    };
    super(options);
    arrived = (bytes) => this.#arrived(bytes);
    this.#readers = readers;
    this.fd = fd;
    this.uid = uid;
    this.pid = pid;
    this.requestor = {
      username: nameOf(uid),
      protocol: 'unix',
      address: '@',
    };
    this.setTimeout(silentSeconds * 1000);
    this.on('timeout', () => this.#isIdle && this.destroy());
    this.on('end', () => process.nextTick(() => this.#underWay === undefined && this.end())); // node:http may have a word
    this.on('error', () => undefined); // it closes, which is what counts
    this.on('close', () => this.#finish());
  }

  /** A request that was read directly is being answered; ended: called once, when it has been, or cannot be any more */
  begin(ended: () => void): void {
    this.#underWay = ended;
  }

  /** All of the answer to it. */
  answer(text: string, encoding: BufferEncoding): void {
    this.write(text, encoding, this.#whenTaken);
  }

  /** The kernel has the answer: only now the next request is looked at, so that no client piles up what it does not read. */
  answered(): void {
    this.#finish();
    if (this.destroyed) return;
    if (!this.#isKept) this.setTimeout(idleSeconds * 1000);
    this.#isKept = true;
    if (this.#behind !== undefined) this.#leave(this.#behind);
    else if (this.readableEnded) this.end();
  }

  /** A request has come on it, which node:http has read; response: what it will be answered with */
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
    const isIdle = this.#isParsed ? this.#inFlight === 0 && this.bytesRead === this.#answeredBytes : this.#isIdle;
    if (this.destroyed || this.writableEnded || !isIdle) return undefined;
    const copy = duplicate(this.fd);
    this.destroy();
    return copy;
  }

  /** Closes it, unless node:http has it. */
  closeDirect(): void {
    if (!this.#isParsed) this.destroy();
  }

  #finish(): void {
    const ended = this.#underWay;
    this.#underWay = undefined;
    ended?.();
  }

  /** It is read directly, and nothing is under way. */
  get #isIdle(): boolean {
    return !this.#isParsed && this.#underWay === undefined;
  }

  /** false: nothing more is to be read for now */
  #arrived(bytes: Buffer): boolean {
    if (this.#isParsed) return this.push(Buffer.from(bytes));
    if (this.#underWay !== undefined) {
      this.#behind = Buffer.from(bytes);
      return false;
    }
    const request = plainRequestIn(bytes);
    if (request !== undefined && this.#readers.direct(request, this)) return true;
    return this.#leave(Buffer.from(bytes));
  }

  /** To node:http, with what has been read and not answered. */
  #leave(bytes: Buffer): boolean {
    this.#isParsed = true;
    this.#behind = undefined;
    this.setTimeout(0);
    this.#readers.parse(this);
    return this.push(bytes);
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

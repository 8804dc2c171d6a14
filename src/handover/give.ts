import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Fault } from '../errors.js';
import { sendMessage } from '../gate/unix-socket.js';
import { byDescriptorName, type Inheritance } from './protocol.js';

/** Where `devlxd serve --takeover` asks, on the control socket. */
export const takeoverPath = '/1.0/takeover';

/** Descriptors in one message; the kernel takes 253. */
const mostAtOnce = 200;

/** A process that has asked to go on in this one's place. */
export class Successor {
  readonly #socket: Duplex;
  readonly #fd: number;
  readonly #isReady: Promise<boolean>;

  /** socket: what it has asked on; fd: the descriptor behind it */
  constructor(socket: Duplex, fd: number) {
    this.#socket = socket;
    this.#fd = fd;
    this.#isReady = new Promise((resolve) => {
      socket.once('data', () => resolve(true)); // it has nothing else to say
      socket.once('close', () => resolve(false));
    });
  }

  /** The store is closed: gives everything away. False: it has failed, and this process had better go on. */
  async give(inheritance: Inheritance): Promise<boolean> {
    try {
      this.#giveAll(inheritance);
    } catch {
      this.#socket.destroy();
    }
    const ready = await this.#isReady;
    this.#socket.destroy();
    return ready;
  }

  #giveAll({ sockets, bound, connections }: Inheritance): void {
    for (const [socket, fd] of sockets) this.#line({ socket, bound: bound.has(socket), count: 1 }, [fd]);
    for (const [name, fds] of byDescriptorName(connections, mostAtOnce))
      this.#line({ connections: name, count: fds.length }, fds);
    this.#line({ count: 0 }, []);
  }

  #line(line: object, descriptors: readonly number[]): void {
    sendMessage(this.#fd, `${JSON.stringify(line)}\n`, descriptors);
  }
}

interface Asking {
  readonly uid: number;
  readonly fd: number;
}

/** Where successors ask; one is let in. */
export class Successors extends EventEmitter<{ successor: [Successor] }> {
  readonly #managed: boolean;
  #taken = false;

  /** managed: a service manager starts and stops this process */
  constructor(managed: boolean) {
    super();
    this.#managed = managed;
  }

  /** @throws Fault takeover-refused or forbidden; then the socket is as it was */
  accept(request: IncomingMessage, socket: Duplex, { uid, fd }: Asking): void {
    if (uid !== 0 && uid !== process.getuid?.())
      throw new Fault('forbidden', 'only root and the user who runs devlxd may take over from it');
    if (request.headers.upgrade !== 'devlxd-takeover')
      throw new Fault('takeover-refused', 'this is for devlxd serve --takeover');
    if (this.#managed) throw new Fault('takeover-refused', 'a service manager runs it: systemctl restart devlxd');
    if (this.#taken) throw new Fault('takeover-refused', 'another process takes over already');
    this.#taken = true;
    socket.on('error', () => undefined); // it closes, which is what counts
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: devlxd-takeover\r\n\r\n');
    this.emit('successor', new Successor(socket, fd));
  }
}

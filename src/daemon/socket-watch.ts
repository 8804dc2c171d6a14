import type { ListeningSockets } from '../handover/listening-sockets.js';
import type { Log } from '../log.js';

const lookMilliseconds = 1000;

type Name = 'guest' | 'control';

/** Accepts on one more listening socket. */
type Accept = (fd: number) => void;

/** Looks whether the paths of the sockets still lead here. One that was removed is bound again; else the log says it. */
export class SocketWatch {
  readonly #sockets: ListeningSockets;
  readonly #accept: Readonly<Record<Name, Accept>>;
  readonly #log: Log;
  readonly #said = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(sockets: ListeningSockets, accept: Readonly<Record<Name, Accept>>, log: Log) {
    this.#sockets = sockets;
    this.#accept = accept;
    this.#log = log;
  }

  run(): void {
    this.#timer = setInterval(() => this.look(), lookMilliseconds).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  look(): void {
    for (const name of ['guest', 'control'] as const) this.#lookAt(name);
    if (this.#sockets.guestDirectoryReplaced)
      this.#sayOnce(
        'directory',
        {},
        'the directory of the guest socket was replaced; running instances have the old one',
      );
  }

  #lookAt(name: Name): void {
    const file = this.#sockets.fileOf(name);
    const path = this.#sockets.path(name);
    if (file === 'ours') this.#said.delete(name);
    else if (file === 'replaced')
      this.#sayOnce(name, { path }, 'another process has put its own file in place of a socket');
    else this.#bindAgain(name, path);
  }

  #bindAgain(name: Name, path: string): void {
    try {
      const fd = this.#sockets.bindAgain(name);
      if (fd === undefined) {
        this.#sayOnce(name, { path }, 'the file of a socket was removed; restart the unit that binds it');
        return;
      }
      this.#accept[name](fd);
      this.#log.warn({ path }, 'the file of a socket was removed; it is bound again');
    } catch (error) {
      this.#sayOnce(name, { path, err: error }, 'the file of a socket was removed, and cannot be bound again');
    }
  }

  #sayOnce(what: string, fields: object, sentence: string): void {
    if (this.#said.has(what)) return;
    this.#said.add(what);
    this.#log.error(fields, sentence);
  }
}

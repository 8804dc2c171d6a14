import { addon, type Credentials, type NativeControlListener } from './addon.js';
import { check } from './failure.js';

/** Accepts connections of the control socket and gives each descriptor away, with the process that connected. */
export class ControlListener {
  readonly #native: NativeControlListener;

  constructor(onConnection: (fd: number, peer: Credentials) => void) {
    this.#native = new addon.ControlListener((fd, pid, uid, gid) => onConnection(fd, { pid, uid, gid }));
  }

  listen(fd: number): void {
    check(this.#native.listen(fd), 'listening on the control socket');
  }

  /** Takes in a connection that another process has accepted, as if it had come just now. */
  admit(fd: number): void {
    this.#native.admit(fd);
  }

  stop(): void {
    this.#native.stop();
  }
}

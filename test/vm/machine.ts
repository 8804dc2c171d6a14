import type { Socket } from 'node:net';
import { Booted } from './booted.js';
import type { Parts } from './packages.js';

/** native/tools/machine/machine.cc */
const ports = { root: 5000, user: 5001 } as const;

/** A virtual machine whose only program is devlxd-agent. */
export class Machine {
  readonly #booted: Booted;

  private constructor(booted: Booted) {
    this.#booted = booted;
  }

  /**
   * @param socket the guests' socket
   * @param beforeBoot told the pid of the process that connects for the machine
   */
  static async boot(
    parts: Parts,
    cid: number,
    socket: string,
    beforeBoot: (pid: number) => Promise<void>,
  ): Promise<Machine> {
    const programs = { init: 'machine', 'devlxd-agent': 'devlxd-agent' };
    const modules = ['virtio_pci', 'vmw_vsock_virtio_transport'];
    return new Machine(await Booted.boot(parts, { cid, megabytes: 256, modules, programs, socket, beforeBoot }));
  }

  /** Connects inside, as the machine's root or as its user 1000; as Guest.connect has it. */
  as(user: keyof typeof ports): { connect: () => Socket } {
    return { connect: () => this.#booted.connect(ports[user]) };
  }

  async end(): Promise<void> {
    await this.#booted.end();
  }
}

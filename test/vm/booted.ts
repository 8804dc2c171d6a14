import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { packageRoot } from '../../src/package-root.js';
import { eventually } from '../support/eventually.js';
import { initramfs, kernelIn } from './initramfs.js';
import type { Parts } from './packages.js';

export interface Booting {
  readonly cid: number;
  readonly megabytes: number;
  readonly modules: readonly string[];
  /** of build/Release, by their names in the machine; init is the first that runs, and says when the machine is up */
  readonly programs: Readonly<Record<string, string>>;
  /** of QEMU */
  readonly options?: readonly string[];
  /** to the kernel */
  readonly parameters?: string;
  /** where its connections to port 1234 of the host go */
  readonly socket?: string;
  /** told the pid of the process that connects for the machine */
  readonly beforeBoot?: (pid: number) => Promise<void>;
}

/** A virtual machine under QEMU, without KVM. */
export class Booted {
  readonly directory: string;
  readonly #device: ChildProcess;
  readonly #qemu: ChildProcess;
  readonly #entrances: Server[] = [];
  /** What its console has said until it was up. */
  readonly said: string[] = [];

  private constructor(directory: string, device: ChildProcess, qemu: ChildProcess) {
    this.directory = directory;
    this.#device = device;
    this.#qemu = qemu;
  }

  static async boot({ kernel, vsock }: Parts, booting: Booting): Promise<Booted> {
    const { cid, megabytes, modules, programs, options = [], parameters = '', socket, beforeBoot } = booting;
    const directory = mkdtempSync(join(tmpdir(), 'devlxd-vm-'));
    const [uds, vhost, archive] = [join(directory, 'v'), join(directory, 'vhost'), join(directory, 'initramfs')];
    if (socket !== undefined) symlinkSync(socket, `${uds}_1234`);
    const image = kernelIn(kernel);
    const built = Object.entries(programs).map(([name, file]) => [name, join(packageRoot, 'build/Release', file)]);
    writeFileSync(archive, initramfs(image, modules, Object.fromEntries(built)));
    const device = spawn(vsock, ['--vm', `guest-cid=${cid},socket=${vhost},uds-path=${uds}`], { stdio: 'ignore' });
    await eventually('vhost-device-vsock listens', () => existsSync(vhost));
    await beforeBoot?.(device.pid as number);
    const words = [...qemuOptions(image.image, archive, vhost, megabytes, parameters), ...options];
    const qemu = spawn('qemu-system-x86_64', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    const booted = new Booted(directory, device, qemu);
    try {
      await booted.#up();
      return booted;
    } catch (error) {
      await booted.end();
      throw error;
    }
  }

  /** Connects to a port of the machine. line: said first */
  connect(port: number, line = ''): Socket {
    const path = join(this.directory, `e${this.#entrances.length}`);
    this.#entrances.push(entrance(path, join(this.directory, 'v'), port, line));
    return connect(path);
  }

  async end(): Promise<void> {
    for (const child of [this.#qemu, this.#device]) {
      const exited = child.exitCode === null && child.signalCode === null && once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    for (const each of this.#entrances) each.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #up(): Promise<void> {
    const lines = createInterface({ input: this.#qemu.stdout as Readable });
    for await (const line of lines) {
      this.said.push(line);
      if (line.includes('machine is up')) return;
    }
    throw new Error(`The machine did not come up:\n${this.said.join('\n')}`);
  }
}

/** vhost-device-vsock wants to be told the port, as Firecracker does, and says OK in a line. */
function entrance(path: string, machine: string, port: number, line: string): Server {
  return createServer((client) => {
    const inside = connect(machine);
    inside.write(`CONNECT ${port}\n`);
    inside.once('data', (first: Buffer) => {
      inside.write(line);
      client.write(first.subarray(first.indexOf('\n') + 1));
      inside.pipe(client);
      client.pipe(inside);
    });
    for (const [end, other] of [
      [client, inside],
      [inside, client],
    ] as const) {
      end.on('error', () => other.destroy());
      end.on('close', () => other.destroySoon()); // what it was written before has yet to be read
    }
  }).listen(path);
}

// Without cx16: QEMU 7.2 damages the flags after cmpxchg16b now and then, without KVM. A busy host is late with the first
// ticks of the timer, which the kernel would take for a broken one.
function qemuOptions(kernel: string, archive: string, vhost: string, megabytes: number, parameters: string): string[] {
  const memory = `memory-backend-memfd,id=memory,size=${megabytes}M,share=on`;
  return [
    ...['-accel', 'tcg', '-cpu', 'qemu64,-cx16', '-smp', '1', '-m', String(megabytes)],
    ...['-M', 'q35,memory-backend=memory', '-object', memory],
    ...['-nographic', '-nodefaults', '-no-reboot', '-serial', 'stdio', '-kernel', kernel, '-initrd', archive],
    ...['-append', `console=ttyS0 quiet panic=-1 no_timer_check ${parameters}`],
    ...['-chardev', `socket,id=vsock,path=${vhost}`, '-device', 'vhost-user-vsock-pci,chardev=vsock'],
  ];
}

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { packageRoot } from '../../src/package-root.js';
import { unpacked, unpackedFrom } from '../clients/unpacked.js';
import { eventually } from '../support/eventually.js';
import { initramfs, kernelIn } from './initramfs.js';

/** native/tools/machine/machine.cc */
const ports = { root: 5000, user: 5001 } as const;
type User = keyof typeof ports;

const modules = ['virtio_pci', 'vmw_vsock_virtio_transport'];

export interface Parts {
  readonly kernel: string;
  readonly vsock: string;
}

/** What a machine is made of, downloaded once; or why it cannot be had. */
export function parts(): Parts | Error {
  if (spawnSync('qemu-system-x86_64', ['--version']).error) {
    return new Error('needs qemu-system-x86_64: apt-get install qemu-system-x86');
  }
  const kernel = unpacked('linux', [kernelPackage()]);
  const device = unpackedFrom('sid', 'vhost-device-vsock', ['vhost-device-vsock']);
  const problem = kernel.problem ?? device.problem;
  if (problem !== undefined) return new Error(problem);
  return { kernel: kernel.directory, vsock: join(device.directory, 'usr/bin/vhost-device-vsock') };
}

/** The package that the name without a version depends on. */
function kernelPackage(): string {
  const { stdout } = spawnSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], { encoding: 'utf8' });
  return /Depends: (linux-image-[\w.-]+)/.exec(stdout ?? '')?.[1] ?? 'linux-image-cloud-amd64';
}

/** A virtual machine under QEMU, without KVM, whose only program is devlxd-agent. */
export class Machine {
  readonly #directory: string;
  readonly #device: ChildProcess;
  readonly #qemu: ChildProcess;
  readonly #entrances: Server[];

  private constructor(directory: string, device: ChildProcess, qemu: ChildProcess) {
    this.#directory = directory;
    this.#device = device;
    this.#qemu = qemu;
    this.#entrances = (['root', 'user'] as const).map((user) =>
      entrance(join(directory, user), join(directory, 'v'), ports[user]),
    );
  }

  /**
   * @param socket the guests' socket
   * @param beforeBoot told the pid of the process that connects for the machine
   */
  static async boot(
    { kernel, vsock }: Parts,
    cid: number,
    socket: string,
    beforeBoot: (pid: number) => Promise<void>,
  ): Promise<Machine> {
    const directory = mkdtempSync(join(tmpdir(), 'devlxd-vm-'));
    const [uds, vhost, archive] = ['v', 'vhost', 'initramfs'].map((name) => join(directory, name));
    symlinkSync(socket, `${uds}_1234`);
    const image = kernelIn(kernel);
    const [machine, agent] = ['machine', 'devlxd-agent'].map((name) => join(packageRoot, 'build/Release', name));
    writeFileSync(`${archive}`, initramfs(image, modules, { init: `${machine}`, 'devlxd-agent': `${agent}` }));
    const device = spawn(vsock, ['--vm', `guest-cid=${cid},socket=${vhost},uds-path=${uds}`], { stdio: 'ignore' });
    await eventually('vhost-device-vsock listens', () => existsSync(`${vhost}`));
    await beforeBoot(device.pid as number);
    const qemu = spawn('qemu-system-x86_64', qemuOptions(image.image, `${archive}`, `${vhost}`), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const booted = new Machine(directory, device, qemu);
    await booted.#up();
    return booted;
  }

  /** Connects inside, as the machine's root or as its user 1000; as Guest.connect has it. */
  as(user: User): { connect: () => Socket } {
    return { connect: () => connect(join(this.#directory, user)) };
  }

  async end(): Promise<void> {
    for (const child of [this.#qemu, this.#device]) {
      const exited = child.exitCode === null && child.signalCode === null && once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    for (const each of this.#entrances) each.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #up(): Promise<void> {
    const said: string[] = [];
    const lines = createInterface({ input: this.#qemu.stdout as Readable });
    for await (const line of lines) {
      said.push(line);
      if (line.includes('machine is up')) return;
    }
    throw new Error(`The machine did not come up:\n${said.join('\n')}`);
  }
}

/**
 * A socket whose connections go to a port of the machine. vhost-device-vsock wants to be told which, as Firecracker does,
 * and says OK in a line.
 */
function entrance(path: string, machine: string, port: number): Server {
  return createServer((client) => {
    const inside = connect(machine);
    inside.write(`CONNECT ${port}\n`);
    inside.once('data', (first: Buffer) => {
      client.write(first.subarray(first.indexOf('\n') + 1));
      inside.pipe(client);
      client.pipe(inside);
    });
    for (const [end, other] of [
      [client, inside],
      [inside, client],
    ] as const) {
      end.on('error', () => other.destroy());
      end.on('close', () => other.destroy());
    }
  }).listen(path);
}

// Without cx16: QEMU 7.2 damages the flags after cmpxchg16b now and then, without KVM. A busy host is late with the first
// ticks of the timer, which the kernel would take for a broken one.
function qemuOptions(kernel: string, archive: string, vhost: string): string[] {
  return [
    ...['-accel', 'tcg', '-cpu', 'qemu64,-cx16', '-smp', '1', '-m', '256', '-M', 'q35,memory-backend=memory'],
    ...['-object', 'memory-backend-memfd,id=memory,size=256M,share=on'],
    ...['-nographic', '-nodefaults', '-no-reboot', '-serial', 'stdio', '-kernel', kernel, '-initrd', archive],
    ...['-append', 'console=ttyS0 quiet panic=-1 no_timer_check'],
    ...['-chardev', `socket,id=vsock,path=${vhost}`, '-device', 'vhost-user-vsock-pci,chardev=vsock'],
  ];
}

import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Settings } from '../config/options.js';
import { readSettingsAndFile } from '../config/options-file.js';
import { socketPaths } from '../config/paths.js';
import { Daemon } from '../daemon/daemon.js';
import { type DemoGuest, spawnGuest } from '../demo/spawn-guests.js';
import { ListeningSockets } from '../handover/listening-sockets.js';
import { createLog, type Log, LogLines } from '../log.js';
import { print } from './output.js';
import { addOptions, flagsOf } from './serve.js';
import { stopSignal } from './stop-signal.js';
import { HostClient, instancePath } from './with-client.js';

const instances = [
  { name: 'demo1', config: { 'user.greeting': 'hello from the host to demo1' }, devices: {} },
  {
    name: 'demo2',
    config: { 'user.greeting': 'good morning, demo2', 'user.role': 'database' },
    devices: { data: { type: 'disk', source: '/srv/data', path: '/data' } },
  },
  {
    name: 'demo3',
    config: { 'user.greeting': 'bonjour, demo3', 'user.meta-data': 'public-keys: []' },
    devices: { eth0: { type: 'nic', nictype: 'bridged', parent: 'br0' } },
  },
] as const;

/** devlxd demo: what npm start runs. */
export function addDemo(program: Command): void {
  const command = program
    .command('demo')
    .description('run the daemon with three guests, each a real process in namespaces of its own')
    .addHelpText('after', '\nExample:\n  devlxd demo --log-level debug');
  addOptions(command);
  command.action(async () => {
    const settings = readSettingsAndFile({ 'log-level': 'warn', ...defined(flagsOf(command)) });
    const lines = new LogLines();
    const demo = new Demo(settings, await createLog(settings.logLevel, settings.logFormat, lines), lines);
    const stopped = stopSignal(['SIGINT', 'SIGTERM', 'SIGHUP']); // also when its terminal is closed
    try {
      await demo.run();
      await stopped;
    } finally {
      await demo.stop();
    }
  });
}

/** The daemon of `devlxd serve`, in this process, with a store that ends with the demo, and its guests. */
class Demo {
  readonly #settings: Settings;
  readonly #sockets: ListeningSockets;
  readonly #daemon: Daemon;
  readonly #client: HostClient;
  readonly #guests: DemoGuest[] = [];
  readonly #leftovers: string[] = [];

  constructor(settings: Settings, log: Log, lines: LogLines) {
    const stateDir = mkdtempSync(join(tmpdir(), 'devlxd-demo-'));
    this.#leftovers.push(stateDir);
    if (!existsSync(settings.runDir)) this.#leftovers.push(settings.runDir);
    this.#settings = { ...settings, stateDir };
    this.#sockets = new ListeningSockets(this.#settings);
    this.#daemon = new Daemon(this.#settings, log, lines, this.#sockets);
    this.#client = new HostClient(settings.runDir);
  }

  async run(): Promise<void> {
    const { guest, control } = socketPaths(this.#settings.runDir);
    await this.#daemon.run();
    print(`devlxd runs: guests' socket ${guest}, operators' socket ${control}`);
    for (const instance of instances) await this.#startGuest(instance, guest);
    print(this.#whatNext(guest));
  }

  async stop(): Promise<void> {
    for (const { process: child } of this.#guests) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    }
    await this.#client.close();
    await this.#daemon.stop();
    this.#sockets.close();
    await this.#daemon.linger();
    for (const directory of this.#leftovers) rmSync(directory, { recursive: true, force: true });
    if (this.#guests.length > 0) print('The guests and the daemon have ended; nothing is left over.');
  }

  /** Until the guest has asked for everything and listens to its events. */
  async #startGuest(instance: (typeof instances)[number], socketPath: string): Promise<void> {
    const { name } = instance;
    await this.#client.request('POST', '/1.0/instances', instance);
    let listening = (): void => undefined;
    const settled = new Promise<void>((resolve) => {
      listening = resolve;
    });
    const guest = await spawnGuest(socketPath, (line) => {
      print(`${colored(name)} | ${line}`);
      if (line.endsWith('listening')) listening();
    });
    this.#guests.push(guest);
    await this.#client.request('PUT', `${instancePath(name)}/state`, { action: 'start', pid: guest.pid });
    print(`\n${colored(name)} | init is process ${guest.pid} of the host, in user and pid namespaces of its own`);
    guest.go();
    await Promise.race([settled, once(guest.process, 'exit')]);
  }

  #whatNext(guestSocket: string): string {
    const pid = this.#guests[0]?.pid;
    const credentials = process.getuid?.() === 0 ? '' : ' --preserve-credentials';
    const runDir = process.env['DEVLXD_RUN_DIR'] ? `DEVLXD_RUN_DIR=${this.#settings.runDir} ` : '';
    return `
Try in another terminal, in this directory:
  ${runDir}./bin/devlxd set demo1 user.foo=bar     the event arrives in demo1 and in no other guest
  ${runDir}./bin/devlxd device add demo2 logs disk source=/srv/logs path=/logs
  ${runDir}./bin/devlxd list
Ask as a process of demo1 (in a container, where the socket is at /dev/lxd/sock, this is the curl part alone):
  nsenter -t ${pid} -U -p${credentials} curl -s --unix-socket ${guestSocket} http://lxd/1.0/config
Ctrl-C ends everything.`;
  }
}

function defined(flags: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(flags).filter((flag): flag is [string, string] => flag[1] !== undefined));
}

const colors: Readonly<Record<string, number>> = { demo1: 36, demo2: 33, demo3: 35 };

function colored(name: string): string {
  return process.stdout.isTTY ? `\x1b[${colors[name] ?? 0}m${name}\x1b[0m` : name;
}

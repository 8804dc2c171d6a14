import { chmodSync, chownSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { testBridge } from './bridge-test.js';
import type { Settings } from './config.js';
import { OptionError } from './config.js';
import { connectionRoom } from './descriptors.js';
import { bestIdentityPath, Gate, listenUnix } from './gate.js';
import { Desk } from './guest/desk.js';
import { GuestEdge } from './guest/edge.js';
import { Listeners } from './guest/listeners.js';
import { OddEdge } from './guest/odd-edge.js';
import { hostEndpoints } from './host/endpoints.js';
import { EventSockets } from './host/event-sockets.js';
import { HostEvents } from './host/events.js';
import { HookHandlers } from './host/hooks.js';
import { ImageHandlers } from './host/images.js';
import { InstanceHandlers } from './host/instances.js';
import { Operations } from './host/operations.js';
import { ProfileHandlers } from './host/profiles.js';
import { ProjectHandlers } from './host/projects.js';
import { HostServer } from './host/server.js';
import { Images } from './images/images.js';
import { Registry } from './instances/registry.js';
import { Store } from './instances/store.js';
import { type Log, LogLines } from './log.js';
import { metricsOf } from './metrics.js';
import { version } from './package-root.js';
import { Running } from './running.js';

/** Where the sockets of a run directory are. */
export function socketPaths(runDir: string): { guestDir: string; guest: string; control: string } {
  const guestDir = join(runDir, 'guest');
  return { guestDir, guest: join(guestDir, 'sock'), control: join(runDir, 'control.sock') };
}

/** The whole daemon: what it is made of, and the order in which the parts start and stop. */
export class Daemon {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #logLines: LogLines;
  readonly #stops: (() => void | Promise<void>)[] = [];

  /** logLines: what log writes */
  constructor(settings: Settings, log: Log, logLines = new LogLines()) {
    this.#settings = settings;
    this.#log = log;
    this.#logLines = logLines;
  }

  /**
   * Starts everything; guests and operators are answered when this is done.
   * @throws Fault, with a sentence for the operator
   */
  async run(): Promise<void> {
    const began = performance.now();
    try {
      await this.#start();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#log.info({ milliseconds: Math.round(performance.now() - began) }, 'ready');
  }

  /** In the reverse order of the start: no new callers, answers to those inside, then the store. */
  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  async #start(): Promise<void> {
    const settings = this.#settings;
    const { limits } = settings;
    const log = this.#log;
    const paths = socketPaths(settings.runDir);
    log.info({ version, node: process.version, pid: process.pid }, 'devlxd starts');
    await testBridge();
    prepareDirectories(settings.runDir, paths.guestDir);

    const store = new Store(settings.stateDir);
    await store.open();
    this.#stops.push(() => store.close());
    const registry = new Registry(store);
    await registry.load();
    this.#stops.push(() => registry.stop());
    log.info({ stateDir: settings.stateDir, instances: registry.list().length }, 'store loaded');

    const images = new Images(store, settings.stateDir);
    await images.load();
    this.#stops.push(() => images.stop());

    const gate = new Gate(
      settings.identity,
      {
        connectionsPerInstance: limits['connections-per-instance'],
        connections: limits.connections || connectionRoom(),
        strangers: limits.strangers,
        // With each request in the log, each must be seen.
        keptAnswers: log.isLevelEnabled('debug') ? 0 : settings.keptAnswers,
      },
      {
        onInitExit: (slots) => running.initsExited(slots),
        onOddRequest: (fd, data, ticket) => oddEdge.admit(fd, data, ticket),
      },
    );
    const running = new Running(gate, registry, log);
    const listeners = new Listeners();
    registry.on('changes', (changes) => listeners.deliver(changes));

    const desk = new Desk(registry, running, listeners, images, limits, log);
    const oddEdge = new OddEdge(gate, desk, running, listeners, limits);
    oddEdge.run();
    const guestEdge = new GuestEdge(gate, desk, running, listeners, limits);
    await guestEdge.run();
    this.#stops.push(() => guestEdge.stop());
    this.#stops.push(() => oddEdge.stop());
    this.#stops.push(() => desk.stop());
    await running.reattach();

    const operations = new Operations();
    const events = new HostEvents();
    registry.on('written', (change, requestor) => events.written(change, requestor));
    operations.on('changed', (operation) => events.operation(operation));
    this.#logLines.on('line', (line) => events.logging(line));
    const instances = new InstanceHandlers(registry, running, operations, limits);
    const profiles = new ProfileHandlers(registry, limits);
    const projects = new ProjectHandlers(registry, operations);
    const metrics = metricsOf({ registry, gate, desk, listeners, hostEvents: events, host: () => host });
    const host: HostServer = new HostServer(
      hostEndpoints(
        instances,
        new ImageHandlers(images, operations, events),
        profiles,
        projects,
        operations,
        new HookHandlers(registry, running, limits),
        metrics,
      ),
      new EventSockets(events, registry, limits, log),
      limits,
      settings.group !== '',
      log,
    );
    host.run(this.#listen(paths.control, settings.group === '' ? 0o600 : 0o660));
    if (settings.group !== '') giveToGroup(paths.control, settings.group);
    this.#stops.push(() => host.stop());

    gate.listen(this.#listen(paths.guest, 0o666));
    this.#stops.push(() => gate.stopListening());
    const identity = settings.identity === 'auto' ? bestIdentityPath() : settings.identity;
    log.info({ guest: paths.guest, control: paths.control, identity }, 'listening');
  }

  #listen(path: string, mode: number): number {
    const fd = listenUnix(path, mode, this.#settings.backlog);
    this.#stops.push(() => rmSync(path, { force: true }));
    return fd;
  }
}

/** The guests' directory is what is mounted into them: it holds their socket and nothing else. */
function prepareDirectories(runDir: string, guestDir: string): void {
  for (const [directory, mode] of [
    [runDir, 0o711],
    [guestDir, 0o755],
  ] as const) {
    if (existsSync(directory)) continue;
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, mode);
  }
}

function giveToGroup(path: string, group: string): void {
  const gid = Number(group);
  if (!Number.isInteger(gid)) throw new OptionError(`--group takes the number of a group, not "${group}".`);
  chownSync(path, -1, gid);
}

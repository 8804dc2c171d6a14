import type { Settings } from '../config/options.js';
import type { ControlServer } from '../control/control-server.js';
import { growDescriptorTable, SpareDescriptors } from '../gate/file-descriptors.js';
import { bestIdentityMethod } from '../gate/gate.js';
import { testBridge } from '../gate/self-test.js';
import { admitGuests, admitOperators } from '../handover/connections.js';
import { type Counts, noCounts } from '../handover/counts.js';
import { HandoverRequests } from '../handover/give.js';
import type { ListeningSockets } from '../handover/listening-sockets.js';
import type { HandoverConnection } from '../handover/protocol.js';
import type { Log, LogLines } from '../log.js';
import { version } from '../package-root.js';
import type { SourceImages } from '../sources/exported-images.js';
import type { Building, DaemonContext } from './context.js';
import { buildControl, type ControlParts } from './control-parts.js';
import { followFleet } from './followed-fleet.js';
import { FollowedSource, forgetSources } from './followed-source.js';
import { gateLimits } from './gate-limits.js';
import { buildGuests, type GuestParts } from './guest-parts.js';
import { Measuring } from './measuring.js';
import { metricsTokenIn } from './metrics-token.js';
import { type Parts, shutdownPhases } from './shutdown-phases.js';
import { SocketWatch } from './socket-watch.js';
import { buildStore, type StoreParts } from './store-parts.js';
import type { ServiceManager } from './systemd.js';

/** The whole daemon: builds its parts, and ends them in the order of `shutdownPhases`. */
export class Daemon {
  readonly #context: DaemonContext;
  readonly #parts: Building<Parts> = {};

  /** logLines: what log writes; sockets: stay open when the daemon ends; manager: starts and stops this process, if present */
  constructor(settings: Settings, log: Log, logLines: LogLines, sockets: ListeningSockets, manager?: ServiceManager) {
    const connectionStore = manager?.present ? manager : undefined;
    const handoverRequests = new HandoverRequests(connectionStore !== undefined);
    const watchdogSeconds = manager?.watchdogSeconds ?? 0;
    this.#context = { settings, log, logLines, sockets, connectionStore, watchdogSeconds, handoverRequests };
  }

  /** New processes that ask to take over. */
  get handoverRequests(): HandoverRequests {
    return this.#context.handoverRequests;
  }

  /**
   * Starts everything; guests and operators are answered when this is done.
   * @throws Fault, with a sentence for the operator
   */
  async run(): Promise<void> {
    const began = performance.now();
    try {
      await this.#start();
      this.#parts.eventLoopDelay?.run();
    } catch (error) {
      await this.stop();
      await this.linger();
      throw error;
    }
    this.#context.log.info({ milliseconds: Math.round(performance.now() - began) }, 'ready');
  }

  /** The settings have changed: applies them to what is open. */
  adjust(): void {
    const { settings, log } = this.#context;
    const { gate, dispatcher, uwsServer } = this.#parts;
    gate?.setLimits(gateLimits(settings, log));
    dispatcher?.limitsChanged();
    this.#readToken();
    uwsServer?.limitsChanged();
  }

  /** Runs work at once, also when no descriptor is left. */
  async lendDescriptors(work: () => void): Promise<void> {
    await this.#parts.spareDescriptors?.lend(async () => work());
  }

  /**
   * Accepts no caller any more, answers requests that need the store, and closes the store: another daemon may open
   * it afterwards. Slow readers go on reading until `linger`.
   * @param forHandover false: idle connections are closed; true: they are returned for another process
   */
  async stop(forHandover = false): Promise<readonly HandoverConnection[]> {
    const connections: HandoverConnection[] = [];
    await this.#end('stop', forHandover, connections);
    return connections;
  }

  /** After `stop`: what was counted, for another daemon. */
  get counts(): Counts {
    return this.#parts.measuring?.counts ?? noCounts;
  }

  /** After `stop`: waits for slow readers, for as long as `drain-seconds` allows, and closes everything. */
  async linger(): Promise<void> {
    await this.#end('drain', false, []);
  }

  async #end(stage: 'stop' | 'drain', forHandover: boolean, connections: HandoverConnection[]): Promise<void> {
    const { settings, log } = this.#context;
    for (const { name, run } of shutdownPhases.filter((phase) => phase.stage === stage)) {
      log.debug({ phase: name }, 'shutdown phase');
      await run({ parts: this.#parts, limits: settings.limits, forHandover, connections });
    }
  }

  async #start(): Promise<void> {
    const { settings, log, sockets } = this.#context;
    log.info({ version, node: process.version, pid: process.pid }, 'devlxd starts');
    growDescriptorTable();
    await testBridge();
    const stored = await buildStore(this.#context, this.#parts);
    await forgetSources(this.#context, stored.registry);
    const guests = await buildGuests(this.#context, stored, await this.#sourceImages(), this.#parts);
    await guests.running.reattach();
    goOnFrom(sockets.counts, stored, guests);
    const connections = sockets.takeConnections();
    guests.heldConnections.received(connections);
    admitGuests(guests.gate, guests.running, connections);
    const { control } = this.#control(stored, guests);
    const metrics = await this.#serveMetrics(guests);
    control.run(sockets.listening('control'));
    admitOperators(control, connections);
    guests.gate.listen(sockets.listening('guest'));
    const vsock = sockets.listeningVsock();
    if (vsock !== undefined) guests.gate.listen(vsock);
    this.#watchSockets(guests, control);
    if (settings.source !== undefined)
      this.#parts.followedSource = await FollowedSource.follow(settings.source, this.#context, stored, guests);
    if (settings.fleet !== undefined)
      this.#parts.fleet = await followFleet(settings.fleet, this.#context, stored, guests);
    const identity = settings.identity === 'auto' ? bestIdentityMethod() : settings.identity;
    const listening = { guest: sockets.path('guest'), control: sockets.path('control') };
    log.info({ ...listening, vsock: sockets.vsockPort || undefined, metrics, identity }, 'listening');
  }

  #control(stored: StoreParts, guests: GuestParts): ControlParts {
    const spareDescriptors = new SpareDescriptors();
    this.#parts.spareDescriptors = spareDescriptors;
    const fleet = () => this.#parts.fleet;
    const parts = buildControl(this.#context, stored, guests, fleet, (control, controlEvents) => {
      const source = () => this.#parts.followedSource;
      const others = { control, controlEvents, source, fleet };
      const measuring = new Measuring(spareDescriptors, this.#context, stored, guests, others);
      this.#parts.measuring = measuring;
      return (perInstance) => measuring.scrape(perInstance);
    });
    Object.assign(this.#parts, parts);
    return parts;
  }

  /** Only where it is wanted: its modules are loaded then. Gives where, for the log. */
  async #serveMetrics({ limitHits }: GuestParts): Promise<string | undefined> {
    const { settings, sockets } = this.#context;
    const token = metricsTokenIn(settings.metricsTokenFile);
    const { measuring } = this.#parts;
    const fd = sockets.metrics.listening();
    if (fd === undefined || measuring === undefined) return undefined;
    const { MetricsServer } = await import('../metrics/metrics-server.js');
    this.#parts.metricsServer = new MetricsServer(fd, token, (perInstance) => measuring.scrape(perInstance), limitHits);
    this.#parts.metricsServer.run();
    return sockets.metrics.shown;
  }

  /** The token may be another one now. */
  #readToken(): void {
    const { settings, log } = this.#context;
    const { metricsServer } = this.#parts;
    if (metricsServer === undefined) return;
    try {
      metricsServer.token = metricsTokenIn(settings.metricsTokenFile);
    } catch (error) {
      log.error({ err: error }, 'the token of the metrics is not read again; the last one holds');
    }
  }

  #watchSockets({ gate }: GuestParts, control: ControlServer): void {
    const { sockets, log } = this.#context;
    sockets.accepting();
    const accept = { guest: (fd: number) => gate.listen(fd), control: (fd: number) => control.listen(fd) };
    this.#parts.socketWatch = new SocketWatch(sockets, accept, log);
    this.#parts.socketWatch.run();
  }

  /** Loaded only where a source is followed. */
  async #sourceImages(): Promise<SourceImages | undefined> {
    const { source, limits } = this.#context.settings;
    if (source === undefined) return undefined;
    const { SourceImages } = await import('../sources/exported-images.js');
    const sourceImages = new SourceImages(source, limits);
    this.#parts.sourceImages = sourceImages;
    return sourceImages;
  }
}

/** What instances have asked, and which limits they have reached, before this daemon. */
function goOnFrom({ instances }: Counts, { registry }: StoreParts, { dispatcher, limitHits }: GuestParts): void {
  for (const { id, requests, limitHits: hits } of instances) {
    if (registry.byId(id) === undefined) continue;
    dispatcher.instanceRequests.add(id, requests);
    limitHits.goOnFrom(id, hits);
  }
}

import { setTimeout as pause } from 'node:timers/promises';
import type { Settings } from '../config/options.js';
import { backup } from '../control/backup-handler.js';
import { BatchHandlers } from '../control/batch-handlers.js';
import { controlEndpoints, type Metrics } from '../control/control-endpoints.js';
import { ControlEvents } from '../control/control-events.js';
import { ControlServer } from '../control/control-server.js';
import { EventStreams } from '../control/event-stream.js';
import { HookHandlers } from '../control/hook-handlers.js';
import { ImageHandlers } from '../control/image-handlers.js';
import { InstanceHandlers } from '../control/instance-handlers.js';
import { Operations } from '../control/operations.js';
import { ProfileHandlers } from '../control/profile-handlers.js';
import { ProjectHandlers } from '../control/project-handlers.js';
import { takeLimit } from '../errors.js';
import { bestIdentityMethod, Gate } from '../gate/gate.js';
import { testBridge } from '../gate/self-test.js';
import { GuestDispatcher } from '../guest/dispatcher.js';
import { Listeners } from '../guest/events/listeners.js';
import { FallbackServer } from '../guest/fallback-server.js';
import { UwsServer } from '../guest/uws-server.js';
import { admitGuests, admitOperators, takeGuestConnections } from '../handover/connections.js';
import { Successors } from '../handover/give.js';
import type { ListeningSockets } from '../handover/listening-sockets.js';
import { closeAll, duplicate, type HandoverConnection } from '../handover/protocol.js';
import { Images } from '../images/image-library.js';
import { Registry } from '../instances/registry.js';
import { RunningInstances } from '../instances/running-instances.js';
import { gateLimits } from '../limits/gate-limits.js';
import type { Log, LogLines } from '../log.js';
import { EventLoopDelay } from '../metrics/event-loop-delay.js';
import { GateLimitHits } from '../metrics/gate-limit-hits.js';
import { LimitLog } from '../metrics/limit-log.js';
import { version } from '../package-root.js';
import type { SourceSetting } from '../sources/dialects.js';
import type { SourceImages } from '../sources/exported-images.js';
import type { Sync } from '../sources/sync.js';
import { Store } from '../store/store.js';
import { SpareDescriptors } from './file-descriptors.js';

/** Who connected just before nobody accepts any more, and will not go along, asks by then. */
const acceptedMilliseconds = 200;

type Step = (keep: boolean) => void | Promise<void>;

/** The whole daemon: what it is made of, and the order in which the parts start and stop. */
export class Daemon {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #logLines: LogLines;
  readonly #sockets: ListeningSockets;
  readonly #watchdogSeconds: number;
  /** who asks to go on in this one's place */
  readonly successors: Successors;
  readonly #operators: HandoverConnection[] = [];
  #sync: Sync | undefined;
  #kept: () => HandoverConnection[] = () => [];
  #spare: SpareDescriptors | undefined;
  readonly #adjustments: (() => void)[] = [];
  readonly #stops: Step[] = [];
  readonly #closes: Step[] = [];
  readonly #ends: Step[] = [];

  /** logLines: what log writes; sockets: stay open when the daemon ends; managed: a service manager starts and stops this process */
  constructor(
    settings: Settings,
    log: Log,
    logLines: LogLines,
    sockets: ListeningSockets,
    managed = false,
    watchdogSeconds = 0,
  ) {
    this.#watchdogSeconds = watchdogSeconds;
    this.#settings = settings;
    this.#log = log;
    this.#logLines = logLines;
    this.#sockets = sockets;
    this.successors = new Successors(managed);
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
      await this.linger();
      throw error;
    }
    this.#log.info({ milliseconds: Math.round(performance.now() - began) }, 'ready');
  }

  /** The settings have changed: what they say now holds for what is open as well. */
  adjust(): void {
    for (const adjustment of this.#adjustments) adjustment();
  }

  /** Runs work at once, also when no descriptor is left. */
  async lendDescriptors(work: () => void): Promise<void> {
    await this.#spare?.lend(async () => work());
  }

  /**
   * No new callers; answers to those whose requests need the store; then the store is closed, and another daemon may
   * open it. What is being read slowly goes on until `linger`.
   * @param keep false: connections on which nothing is under way are closed; true: they are given back, to be gone on with
   */
  async stop(keep = false): Promise<readonly HandoverConnection[]> {
    for (const stop of this.#stops.splice(0).reverse()) await stop(keep);
    const operators = this.#operators.splice(0);
    if (!keep) closeAll(operators);
    const kept = keep ? [...this.#kept(), ...operators] : [];
    for (const close of this.#closes.splice(0).reverse()) await close(keep);
    return kept;
  }

  /** After `stop`: waits for those who read slowly, for as long as answers may take, and lets go of everything. */
  async linger(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end(false);
  }

  async #start(): Promise<void> {
    const settings = this.#settings;
    const { limits } = settings;
    const log = this.#log;
    log.info({ version, node: process.version, pid: process.pid }, 'devlxd starts');
    await testBridge();

    const store = new Store(settings.stateDir);
    await store.open();
    this.#closes.push(() => store.close());
    const registry = new Registry(store);
    await registry.load();
    this.#closes.push(() => registry.stop());
    log.info({ stateDir: settings.stateDir, instances: registry.list().length }, 'store loaded');
    await this.#forgetSources(registry);

    const images = new Images(store, settings.stateDir);
    await images.load();
    this.#closes.push(() => images.stop());

    const gate = new Gate(settings.identity, gateLimits(settings, log), {
      onInitExit: (slots) => running.initsExited(slots),
      onOddRequest: (fd, data, ticket) => fallbackServer.admit(fd, data, ticket),
    });
    this.#adjustments.push(() => gate.setLimits(gateLimits(settings, log)));
    const running = new RunningInstances(gate, registry, log);
    const listeners = new Listeners();
    registry.on('changes', (changes) => listeners.deliver(changes));

    const sourceImages = await this.#sourceImages();
    const dispatcher = new GuestDispatcher(registry, running, listeners, images, limits, log, sourceImages);
    const fallbackServer = new FallbackServer(gate, dispatcher, running, listeners, limits);
    const gateLimitHits = new GateLimitHits(gate, running, dispatcher.limitHits);
    const limitLog = new LimitLog(
      dispatcher.limitHits,
      (id) => registry.byId(id),
      log,
      () => gateLimitHits.look(),
    );
    limitLog.run();
    const eventLoopDelay = new EventLoopDelay();
    eventLoopDelay.run();
    this.#closes.push(() => eventLoopDelay.stop());
    this.#ends.push(() => limitLog.stop());
    fallbackServer.run();
    const uwsServer = new UwsServer(gate, dispatcher, running, listeners, limits);
    await uwsServer.run();
    this.#adjustments.push(() => dispatcher.limitsChanged());
    this.#adjustments.push(() => uwsServer.limitsChanged());
    this.#ends.push(() => running.letGo());
    this.#ends.push(() => fallbackServer.close());
    this.#ends.push(
      async () => void (await Promise.all([uwsServer.linger(), dispatcher.linger(limits['drain-seconds'])])),
    );
    this.#closes.push(() => running.close());
    this.#stops.push(() => fallbackServer.stop());
    this.#stops.push(() => uwsServer.stop());
    this.#stops.push(() => dispatcher.stop());
    await running.reattach();
    this.#kept = () => takeGuestConnections(gate, running);
    const inherited = this.#sockets.takeConnections();
    admitGuests(gate, running, inherited);

    const operations = new Operations();
    operations.on('changed', ({ error }) => {
      const limit = takeLimit(error);
      if (limit !== undefined) dispatcher.limitHits.add(limit);
    });
    const events = new ControlEvents();
    registry.on('written', (change, requestor) => events.written(change, requestor));
    operations.on('changed', (operation) => events.operation(operation));
    const logging = (line: string): void => events.logging(line);
    this.#logLines.on('line', logging);
    this.#ends.push(() => void this.#logLines.off('line', logging));
    const instances = new InstanceHandlers(registry, running, operations, limits);
    const profiles = new ProfileHandlers(registry, limits);
    const projects = new ProjectHandlers(registry, operations);
    const batches = new BatchHandlers(registry, operations, { instances, profiles });
    const measured = {
      registry,
      gate,
      dispatcher,
      listeners,
      running,
      gateLimitHits,
      controlEvents: events,
      host: () => host,
    };
    const watchdogSeconds = this.#watchdogSeconds;
    const spare = new SpareDescriptors();
    this.#spare = spare;
    this.#closes.push(() => spare.close());
    const metrics: Metrics = (perInstance) =>
      spare.lend(async () => {
        // Loaded when somebody asks: most hosts of few instances never do.
        const { metricsText } = await import('../metrics/daemon-metrics.js');
        const more = { stateDir: settings.stateDir, watchdogSeconds, eventLoopDelay, source: () => this.#sync };
        return metricsText({ ...measured, ...more }, perInstance);
      });
    const host: ControlServer = new ControlServer(
      controlEndpoints(
        instances,
        new ImageHandlers(images, operations, events),
        profiles,
        projects,
        batches,
        operations,
        new HookHandlers(registry, running, limits, log),
        backup(store, settings.stateDir),
        metrics,
      ),
      new EventStreams(events, registry, limits, dispatcher.limitHits),
      this.successors,
      limits,
      settings.group !== '',
      log,
      dispatcher.limitHits,
    );
    host.run(this.#sockets.listening('control'));
    admitOperators(host, inherited);
    this.#stops.push(async () => void this.#operators.push(...(await host.stop())));

    gate.listen(this.#sockets.listening('guest'));
    this.#stops.push(async (keep) => {
      gate.stopListening();
      if (!keep && gate.counters().connections > 0) await pause(acceptedMilliseconds);
    });
    if (settings.source !== undefined) await this.#follow(settings.source, registry, running, gate);
    const identity = settings.identity === 'auto' ? bestIdentityMethod() : settings.identity;
    log.info({ guest: this.#sockets.path('guest'), control: this.#sockets.path('control'), identity }, 'listening');
  }

  /** What nobody keeps up to date is not served. */
  async #forgetSources(registry: Registry): Promise<void> {
    const followed = this.#settings.source?.name;
    const left = registry.list().filter(({ source }) => source !== undefined && source !== followed);
    if (left.length === 0) return;
    await registry.transact((transaction) => {
      for (const { project, name } of left) transaction.remove(transaction.need(project, name));
    });
    this.#log.warn({ instances: left.length }, 'instances of a source that --source does not name are forgotten');
  }

  /** Loaded, like what follows, only where it is asked for. */
  async #sourceImages(): Promise<SourceImages | undefined> {
    const { source, limits } = this.#settings;
    if (source === undefined) return undefined;
    const { SourceImages } = await import('../sources/exported-images.js');
    const images = new SourceImages(source, limits);
    this.#ends.push(() => images.close());
    return images;
  }

  async #follow(source: SourceSetting, registry: Registry, running: RunningInstances, gate: Gate): Promise<void> {
    const [{ Lxd }, { Sync }] = await Promise.all([import('../sources/lxd.js'), import('../sources/sync.js')]);
    const lxd = new Lxd(source, this.#settings.limits);
    const sync = new Sync(lxd, registry, running, this.#log);
    // Whoever reaches us there must be known. What runs since before is.
    if (registry.list().some((instance) => instance.source === lxd.name && instance.run !== undefined))
      this.#take(gate, sync);
    else sync.once('read', () => this.#take(gate, sync));
    this.#sync = sync;
    sync.run();
    this.#stops.push(() => sync.stop(() => lxd.close()));
  }

  #take(gate: Gate, sync: Sync): void {
    const { source } = this.#sockets;
    if (source === undefined) return;
    const where = { guest: source.path };
    let taken: number | undefined;
    let failing = false;
    const failed = (error: unknown): void => {
      if (!failing) this.#log.error({ ...where, err: error }, "the source's guest socket cannot be taken");
      failing = true;
    };
    const take = (): void => {
      try {
        const fd = this.#sockets.take(source);
        if (fd !== taken) gate.listen(duplicate(fd));
        taken = fd;
        failing = false;
        this.#log.info(where, "the source's guest socket is taken");
      } catch (error) {
        failed(error);
      }
    };
    take();
    source.watch(() => sync.connected, take, failed);
    this.#stops.push(() => source.unwatch());
  }
}

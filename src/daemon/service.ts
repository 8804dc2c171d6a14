import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { OptionError, type Settings } from '../config/options.js';
import { applySettings } from '../config/reload.js';
import { testBridge } from '../gate/self-test.js';
import type { NewProcess } from '../handover/give.js';
import { ListeningSockets } from '../handover/listening-sockets.js';
import type { Handover } from '../handover/protocol.js';
import { type OldProcess, receiveHandover } from '../handover/receive.js';
import type { Log, LogLines } from '../log.js';
import { Daemon } from './daemon.js';
import { handoverFromManager, ServiceManager } from './systemd.js';

/** A guest that connected just before the source got its socket back is still answered here. */
const givenBackMilliseconds = 100;

/**
 * The daemon as a process: receives its sockets, tells when it is ready, and hands everything over in the end.
 * docs/architecture.md, "Restarts", has the order of things.
 */
export class Service {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #logLines: LogLines;
  readonly #manager: ServiceManager;
  readonly #read: () => Settings;
  /** the daemon that answers; undefined while one starts or stops */
  #daemon: Daemon | undefined;
  #reloadAsked = false;

  /** read: gives the settings as they are now; it throws an error for the operator when they cannot be understood */
  constructor(settings: Settings, log: Log, logLines: LogLines, read: () => Settings) {
    this.#read = read;
    this.#settings = settings;
    this.#log = log;
    this.#logLines = logLines;
    this.#manager = new ServiceManager(log);
  }

  /**
   * Runs until it is stopped, or another process goes on in its place.
   * @param takeover from the daemon that runs, if one does
   * @param stopSignal called once, when it may be stopped
   */
  async run(takeover: boolean, stopSignal: () => Promise<NodeJS.Signals>): Promise<void> {
    const stopped = stopSignal(); // also one that comes while it starts
    const oldProcess = takeover ? await this.#receive() : undefined;
    const handover = oldProcess?.handover ?? handoverFromManager((name) => this.#manager.dropConnection(name));
    const sockets = new ListeningSockets(this.#settings, handover, this.#manager);
    let daemon = await this.#started(sockets, oldProcess !== undefined);
    oldProcess?.ready();
    this.#manager.ready();
    // The old process may have been asked to reload when it could not any more.
    if (oldProcess !== undefined && this.#settings.optionsFile !== '') this.#reloadAsked = true;
    for (;;) {
      this.#daemon = daemon;
      if (this.#reloadAsked) this.reload();
      const asked = once(daemon.handoverRequests, 'newProcess') as Promise<[NewProcess]>;
      const [newProcess] = await Promise.race([asked, stopped.then((): [undefined] => [undefined])]);
      this.#daemon = undefined;
      if (newProcess === undefined) break;
      if (await this.#handOver(daemon, sockets, newProcess)) return;
      daemon = await this.#started(sockets, false);
    }
    await this.#stop(daemon, sockets, await stopped);
  }

  /**
   * Reads the options again: at once, or as soon as this process answers. What can change while it runs changes now;
   * connections and listeners stay. A mistake changes nothing.
   */
  reload(): void {
    const daemon = this.#daemon;
    this.#reloadAsked = daemon === undefined;
    void daemon?.lendDescriptors(() => {
      this.#manager.reloading();
      this.#manager.ready(this.#readAgain(daemon));
    });
  }

  /** Gives the status to be shown. */
  #readAgain(daemon: Daemon): string | undefined {
    const { optionsFile: file } = this.#settings;
    if (file === '') {
      this.#log.info('there is no file of options to read again');
      return undefined;
    }
    try {
      this.#apply(daemon, this.#read());
      return undefined;
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      const { message: reason } = error;
      this.#log.error({ file, reason }, 'options not read again; nothing has changed');
      return `Answering; options not read again: ${reason}`;
    }
  }

  #apply(daemon: Daemon, next: Settings): void {
    const { changed, needRestart } = applySettings(this.#settings, next);
    this.#log.level = this.#settings.logLevel;
    daemon.adjust();
    this.#log.info({ changed }, 'options read again');
    if (needRestart.length > 0) this.#log.warn({ options: needRestart }, 'options that only change with a restart');
  }

  async #receive(): Promise<OldProcess | undefined> {
    await testBridge(); // what is sure to fail does so before the old process stops
    const oldProcess = await receiveHandover(this.#settings.runDir, this.#settings.handoverSeconds);
    if (oldProcess === undefined) this.#log.info('no devlxd runs that could be taken over from');
    else this.#log.info(counted(oldProcess.handover), 'taken over');
    return oldProcess;
  }

  /** othersGoOn: another process needs the files of the sockets, should this daemon not start */
  async #started(sockets: ListeningSockets, othersGoOn: boolean): Promise<Daemon> {
    const manager = this.#manager;
    const daemon = new Daemon(this.#settings, this.#log, this.#logLines, sockets, manager);
    await daemon.run().catch((error: unknown) => {
      sockets.close(othersGoOn);
      throw error;
    });
    return daemon;
  }

  /** False: the new process has failed or hung, and this one has everything again. */
  async #handOver(daemon: Daemon, sockets: ListeningSockets, newProcess: NewProcess): Promise<boolean> {
    this.#log.info('another devlxd takes over');
    sockets.putConnections(await daemon.stop(true));
    sockets.counts = daemon.counts;
    const lingering = daemon.linger();
    const { handoverSeconds } = this.#settings;
    const outcome = await newProcess.give(sockets.handover(), handoverSeconds);
    if (outcome !== 'ready') {
      this.#log.error({ outcome, handoverSeconds }, 'the devlxd that was to take over has failed; this one goes on');
      return false;
    }
    sockets.close(true);
    this.#reloadAsked = false; // the new process has read the options since
    await lingering;
    if (this.#reloadAsked) this.#log.warn('asked too late to read the options again: another devlxd answers');
    this.#log.info('handed over');
    return true;
  }

  async #stop(daemon: Daemon, sockets: ListeningSockets, signal: NodeJS.Signals): Promise<void> {
    this.#log.info({ signal }, 'devlxd stops');
    this.#manager.stopping();
    if (sockets.source !== undefined) {
      const error = sockets.giveBack();
      if (error !== undefined) this.#log.error({ err: error }, "the source's guest socket cannot be given back");
      await pause(givenBackMilliseconds);
    }
    const connections = await daemon.stop(this.#manager.present);
    this.#manager.storeConnections(connections);
    sockets.putConnections(connections);
    sockets.close();
    await daemon.linger();
    this.#log.info('stopped');
  }
}

function counted({ sockets, connections }: Handover): object {
  return { sockets: sockets.size, connections: connections.length };
}

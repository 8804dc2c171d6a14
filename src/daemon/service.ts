import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { OptionError, type Settings } from '../config/options.js';
import { adopt } from '../config/reload.js';
import { testBridge } from '../gate/self-test.js';
import type { Successor } from '../handover/give.js';
import { ListeningSockets } from '../handover/listening-sockets.js';
import type { Inheritance } from '../handover/protocol.js';
import { type Predecessor, takeOver } from '../handover/receive.js';
import type { Log, LogLines } from '../log.js';
import { Daemon } from './daemon.js';
import { inheritedFromManager, ServiceManager } from './systemd.js';

/** Who connected just before the source got its socket back still gets an answer from us. */
const givenBackMilliseconds = 100;

/**
 * The daemon as a process: where it gets its sockets from, whom it tells that it is ready, and to whom it leaves them.
 * docs/architecture.md, "Restarts", has the order of things.
 */
export class Service {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #logLines: LogLines;
  readonly #manager: ServiceManager;
  readonly #read: () => Settings;
  /** the one that answers; undefined: none does at the moment */
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
    const predecessor = takeover ? await this.#takeOver() : undefined;
    const inherited = predecessor?.inheritance ?? inheritedFromManager();
    const sockets = new ListeningSockets(this.#settings, inherited, this.#manager);
    let daemon = await this.#started(sockets, predecessor !== undefined);
    this.#ready(predecessor, inherited);
    // It may have been the predecessor that was asked to, when it could not any more.
    if (predecessor !== undefined && this.#settings.optionsFile !== '') this.#reloadAsked = true;
    for (;;) {
      this.#daemon = daemon;
      if (this.#reloadAsked) this.reload();
      const asked = once(daemon.successors, 'successor') as Promise<[Successor]>;
      const [successor] = await Promise.race([asked, stopped.then((): [undefined] => [undefined])]);
      this.#daemon = undefined;
      if (successor === undefined) break;
      if (await this.#handedOver(daemon, sockets, successor)) return;
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
      this.#manager.ready([], this.#readAgain(daemon));
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
      this.#adopt(daemon, this.#read());
      return undefined;
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      const { message: reason } = error;
      this.#log.error({ file, reason }, 'options not read again; nothing has changed');
      return `Answering; options not read again: ${reason}`;
    }
  }

  #adopt(daemon: Daemon, next: Settings): void {
    const { changed, needRestart } = adopt(this.#settings, next);
    this.#log.level = this.#settings.logLevel;
    daemon.adjust();
    this.#log.info({ changed }, 'options read again');
    if (needRestart.length > 0) this.#log.warn({ options: needRestart }, 'options that only change with a restart');
  }

  async #takeOver(): Promise<Predecessor | undefined> {
    await testBridge(); // what is sure to fail had better do so before anybody stops
    const predecessor = await takeOver(this.#settings.runDir);
    if (predecessor === undefined) this.#log.info('no devlxd runs that could be taken over from');
    else this.#log.info(counted(predecessor.inheritance), 'taken over');
    return predecessor;
  }

  /** othersGoOn: should it not start, somebody else needs the files of the sockets */
  async #started(sockets: ListeningSockets, othersGoOn: boolean): Promise<Daemon> {
    const manager = this.#manager;
    const daemon = new Daemon(
      this.#settings,
      this.#log,
      this.#logLines,
      sockets,
      manager.present,
      manager.watchdogSeconds,
    );
    await daemon.run().catch((error: unknown) => {
      sockets.close(othersGoOn);
      throw error;
    });
    return daemon;
  }

  #ready(predecessor: Predecessor | undefined, { connections }: Inheritance): void {
    predecessor?.ready();
    this.#manager.ready(connections);
  }

  /** False: the successor has failed, and everything is here again. */
  async #handedOver(daemon: Daemon, sockets: ListeningSockets, successor: Successor): Promise<boolean> {
    this.#log.info('another devlxd takes over');
    sockets.keep(await daemon.stop(true));
    const lingering = daemon.linger();
    const ready = await successor.give(sockets.inheritance());
    if (!ready) {
      this.#log.error('the devlxd that was to take over has failed; this one goes on');
      return false;
    }
    sockets.close(true);
    this.#reloadAsked = false; // the successor has read them since
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
    const kept = await daemon.stop(this.#manager.present);
    this.#manager.keep(kept);
    sockets.keep(kept);
    sockets.close();
    await daemon.linger();
    this.#log.info('stopped');
  }
}

function counted({ sockets, connections }: Inheritance): object {
  return { sockets: sockets.size, connections: connections.length };
}

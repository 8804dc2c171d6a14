import type { SourceSetting } from '../config/dialects.js';
import type { Gate } from '../gate/gate.js';
import { duplicate } from '../gate/unix-socket.js';
import type { ListeningSockets } from '../handover/listening-sockets.js';
import type { Registry } from '../instances/registry.js';
import type { Log } from '../log.js';
import type { GuestSocket } from '../sources/guest-socket.js';
import type { Lxd } from '../sources/lxd.js';
import type { Sync } from '../sources/sync.js';
import type { DaemonContext } from './context.js';
import type { GuestParts } from './guest-parts.js';
import type { StoreParts } from './store-parts.js';

/** The daemon of --source: its instances are kept in step with it, and its guests' socket is taken. */
export class FollowedSource {
  readonly sync: Sync;
  readonly #lxd: Lxd;
  readonly #sockets: ListeningSockets;
  readonly #gate: Gate;
  readonly #log: Log;
  /** the listening socket on which the gate accepts */
  #accepting: number | undefined;
  #failing = false;

  private constructor(sync: Sync, lxd: Lxd, { sockets, log }: DaemonContext, gate: Gate) {
    this.sync = sync;
    this.#lxd = lxd;
    this.#sockets = sockets;
    this.#gate = gate;
    this.#log = log;
  }

  /** Its modules are loaded only where a source is followed. */
  static async follow(
    source: SourceSetting,
    context: DaemonContext,
    { registry }: StoreParts,
    { running, gate }: GuestParts,
  ): Promise<FollowedSource> {
    const [{ Lxd }, { Sync }] = await Promise.all([import('../sources/lxd.js'), import('../sources/sync.js')]);
    const lxd = new Lxd(source, context.settings.limits);
    const followed = new FollowedSource(new Sync(lxd, registry, running, context.log), lxd, context, gate);
    followed.#run(registry, lxd.name);
    return followed;
  }

  async stop(): Promise<void> {
    this.#sockets.source?.unwatch();
    await this.sync.stop(() => this.#lxd.close());
  }

  /** The guests' socket is taken once their instances are known: at once, if some have run since before. */
  #run(registry: Registry, name: string): void {
    const take = (): void => this.#takeSocket();
    if (registry.list().some(({ source, run }) => source === name && run !== undefined)) take();
    else this.sync.once('read', take);
    this.sync.run();
  }

  #takeSocket(): void {
    const { source } = this.#sockets;
    if (source === undefined) return;
    const take = (): void => {
      try {
        this.#accept(source);
      } catch (error) {
        this.#failed(source, error);
      }
    };
    take();
    source.watch(
      () => this.sync.connected,
      take,
      (error) => this.#failed(source, error),
    );
  }

  #accept(source: GuestSocket): void {
    const fd = this.#sockets.take(source);
    if (fd !== this.#accepting) this.#gate.listen(duplicate(fd));
    this.#accepting = fd;
    this.#failing = false;
    this.#log.info({ guest: source.path }, "the source's guest socket is taken");
  }

  #failed(source: GuestSocket, error: unknown): void {
    if (!this.#failing)
      this.#log.error({ guest: source.path, err: error }, "the source's guest socket cannot be taken");
    this.#failing = true;
  }
}

/** Instances of a source that is not followed any more would go stale: they are removed. */
export async function forgetSources({ settings, log }: DaemonContext, registry: Registry): Promise<void> {
  const followed = settings.source?.name;
  const left = registry.list().filter(({ source }) => source !== undefined && source !== followed);
  if (left.length === 0) return;
  await registry.record((transaction) => {
    for (const { project, name } of left) transaction.remove(transaction.need(project, name));
  });
  log.warn({ instances: left.length }, 'instances of a source that --source does not name are forgotten');
}

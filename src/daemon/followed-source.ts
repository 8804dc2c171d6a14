import { existsSync } from 'node:fs';
import type { SourceSetting } from '../config/dialects.js';
import type { Gate } from '../gate/gate.js';
import { duplicate } from '../gate/unix-socket.js';
import type { ListeningSockets } from '../handover/listening-sockets.js';
import { forgetProfile } from '../instances/profile-table.js';
import type { Registry } from '../instances/registry.js';
import type { Log } from '../log.js';
import type { GuestSocket, SourceSocket } from '../sources/guest-socket.js';
import type { Lxd } from '../sources/lxd.js';
import type { SourceServer } from '../sources/source.js';
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
  /** the daemon that answered last */
  #last: SourceServer | undefined;
  /** why its guests do not reach us; '': they do */
  #reason = 'its instances have not been read yet';

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

  get guestSocket(): SourceSocket {
    const { source } = this.#sockets;
    const isThere = source === undefined || source.path === '' || source.isTaken;
    return { path: source?.path ?? '', reason: this.#reason || (isThere ? '' : 'it was removed or replaced just now') };
  }

  /** The guests' socket is taken once their instances are known: at once, if some have run since before. */
  #run(registry: Registry, name: string): void {
    const { source } = this.#sockets;
    const take = (): void => {
      if (source !== undefined) this.#takeFrom(source);
    };
    if (registry.list().some(({ source: of, run }) => of === name && run !== undefined)) take();
    else this.sync.once('read', take);
    this.sync.run();
  }

  #takeFrom(source: GuestSocket): void {
    const look = (): void => this.#attempt(source, () => this.#look(source));
    look();
    source.watch(look, (error) => this.#failed(source, error as NodeJS.ErrnoException));
    this.sync.on('connected', look);
  }

  #look(source: GuestSocket): void {
    const { server } = this.sync;
    this.#last = server ?? this.#last;
    if (server !== undefined) source.find(server);
    else if (source.path === '') source.guess(this.#sockets.hasBoundSource);
    if (source.isTaken && this.#accepting !== undefined) this.#reason = '';
    else if (source.path !== '' || this.#accepting === undefined)
      source.whenFree(server !== undefined || this.#isStopping(source), () =>
        this.#attempt(source, () => this.#accept(source)),
      );
  }

  /** The daemon that had the socket still runs: it has removed it because it stops, and no other starts yet. */
  #isStopping({ path }: GuestSocket): boolean {
    const process = `/proc/${this.#last?.pid}`;
    return path.startsWith(`${process}/root/`) && existsSync(process);
  }

  #accept(source: GuestSocket): void {
    const fd = this.#sockets.take(source);
    if (fd !== this.#accepting) this.#gate.listen(duplicate(fd));
    this.#accepting = fd;
    this.#reason = source.path === '' ? 'its directory is not known until the source answers' : '';
    if (this.#reason === '') this.#log.info({ guest: source.path }, "the source's guest socket is taken");
  }

  #attempt(source: GuestSocket, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failed(source, error as NodeJS.ErrnoException);
    }
  }

  /** Said once, until it works or fails for another reason. */
  #failed(source: GuestSocket, error: NodeJS.ErrnoException): void {
    const reason = error.code ?? error.message;
    if (reason !== this.#reason)
      this.#log.error({ guest: source.path, err: error }, "the source's guest socket cannot be taken");
    this.#reason = reason;
  }
}

/** Instances of a source that is not followed any more would go stale: they are removed. */
export async function forgetSources({ settings, log }: DaemonContext, registry: Registry): Promise<void> {
  const followed = settings.fleet === undefined ? settings.source?.name : 'etcd';
  const isLeft = ({ source }: { readonly source?: string }): boolean => source !== undefined && source !== followed;
  const left = registry.snapshot().kept.filter(isLeft);
  const profiles = registry.profiles().filter(isLeft);
  if (left.length + profiles.length === 0) return;
  await registry.record(async (transaction) => {
    for (const { project, name } of left) transaction.remove(transaction.need(project, name));
    for (const { project, name } of profiles)
      await forgetProfile(transaction, transaction.profiles.need(project, name));
  });
  log.warn({ instances: left.length }, 'instances of a source that --source does not name are forgotten');
}

import type { FollowedFleet } from '../../src/api/types.js';
import { instancePath } from '../../src/cli/with-client.js';
import { TestDaemon } from './daemon.js';
import type { Etcd } from './etcd.js';
import { eventually } from './eventually.js';
import { type Guest, Guests } from './guest-processes.js';
import { ask } from './http.js';

/** A host of a fleet: a daemon that follows it, and real guests. */
export class FleetHost {
  readonly daemon: TestDaemon;
  readonly name: string;
  readonly #etcd: Etcd;
  readonly #guests = new Guests();

  private constructor(daemon: TestDaemon, name: string, etcd: Etcd) {
    this.daemon = daemon;
    this.name = name;
    this.#etcd = etcd;
  }

  /** more: options of the daemon, which win over its own; start: another way to start one */
  static async start(
    etcd: Etcd,
    name: string,
    more: readonly string[] = [],
    start: (options: readonly string[]) => Promise<TestDaemon> = TestDaemon.start,
  ): Promise<FleetHost> {
    const options = ['--source', 'etcd', '--etcd-endpoints', etcd.endpoints, '--etcd-host', name];
    const daemon = await start([...options, '--limit-hold-seconds', '0', ...more]);
    return new FleetHost(daemon, name, etcd);
  }

  /** What the fleet says of an instance of this host. */
  put(name: string, value: unknown, project = 'default'): void {
    this.#etcd.put(`host/${this.name}/instance/${project}/${name}`, value);
  }

  delete(name: string, project = 'default'): void {
    this.#etcd.does('del', `/devlxd/host/${this.name}/instance/${project}/${name}`);
  }

  /** put, until it is here, and its init runs. */
  async running(name: string, value: object, guest = this.#guests.one()): Promise<Guest> {
    this.put(name, value);
    await this.until(name, 'Stopped');
    await this.daemon.startInstance(name, guest.pid);
    return guest;
  }

  guest(): Guest {
    return this.#guests.one();
  }

  /** 'none': there is no such instance */
  async status(name: string): Promise<string> {
    return this.daemon.status(name).catch(() => 'none');
  }

  async until(name: string, status: string): Promise<void> {
    await eventually(`${name} is ${status}`, async () => (await this.status(name)) === status);
  }

  async answer(guest: Guest, key: string): Promise<string> {
    const { status, body } = await ask(guest.connect(this.daemon.socket), `/1.0/config/${key}`);
    return status === 200 ? body : String(status);
  }

  async hears(guest: Guest, key: string, value: string): Promise<void> {
    await eventually(`${key} is ${value}`, async () => (await this.answer(guest, key)) === value);
  }

  async config(name: string): Promise<Readonly<Record<string, string>>> {
    const shown = (await this.daemon.client.request('GET', instancePath(name))) as {
      expanded_config: Record<string, string>;
    };
    return shown.expanded_config;
  }

  async source(): Promise<FollowedFleet> {
    return (await this.daemon.client.request('GET', '/1.0/source')) as FollowedFleet;
  }

  /** Everything that etcd says is applied. */
  async inStep(): Promise<void> {
    await eventually('the host is in step', async () => {
      const { connected, age_seconds: age } = await this.source();
      return connected && age === 0 && (await this.daemon.metric('devlxd_source_age_seconds')) === 0;
    });
  }

  /** '': nothing is */
  async held(): Promise<string> {
    return (await this.source()).held;
  }

  async isHeld(): Promise<void> {
    await eventually('changes are held back', async () => (await this.held()) !== '');
  }

  async remove(): Promise<void> {
    await this.daemon.remove();
    await this.#guests.close();
  }
}

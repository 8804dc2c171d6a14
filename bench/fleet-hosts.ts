import { EtcdConnection, type Watching } from '../src/etcd/etcd-connection.js';
import type { Etcd } from '../test/support/etcd.js';
import { eventually } from '../test/support/eventually.js';
import { each, instance, keys, phase, quantile, setting } from './fleet-figures.js';

/** How many hosts are simulated. */
export interface Simulation {
  readonly hosts: number;
  /** of each of them */
  readonly instances: number;
  /** to etcd, of all of them */
  readonly connections: number;
}

/** A host that follows, and notes when it hears of a key. */
class SimulatedHost {
  readonly name: string;
  #watching: Watching | undefined;
  revision = 0n;

  constructor(name: string) {
    this.name = name;
  }

  /** When both watches have begun. */
  follow(connection: EtcdConnection, heard: (host: SimulatedHost, key: string) => void): Promise<void> {
    const from = String(this.revision + 1n);
    const prefixes = [keys.instances(this.name), keys.shared];
    const ranges = prefixes.map((prefix, index) => ({ id: String(index + 1), prefix, from }));
    return new Promise((resolve, reject) => {
      let created = 0;
      this.#watching = connection.watch(
        ranges,
        ({ created: begun, header, events }) => {
          if (begun && ++created === ranges.length) resolve();
          if (BigInt(header.revision) > this.revision) this.revision = BigInt(header.revision);
          for (const { kv } of events) heard(this, kv.key.toString());
        },
        reject,
      );
    });
  }

  leave(): void {
    this.#watching?.end();
  }

  async readAll(connection: EtcdConnection): Promise<number> {
    let count = 0;
    const take = (): void => void count++;
    await connection.range(keys.shared, take);
    await connection.range(keys.instances(this.name), take);
    return count;
  }
}

/** Hosts that follow real members, each with the two watches of a devlxd. */
export async function simulate(etcd: Etcd, options: Simulation): Promise<void> {
  const hosts = Array.from({ length: options.hosts }, (_, index) => new SimulatedHost(`host${index}`));
  const endpoints = etcd.endpoints.split(',');
  const connections = Array.from(
    { length: options.connections },
    (_, index) => new EtcdConnection(endpoints[index % endpoints.length] as string, { ...setting, endpoints }),
  );
  const of = (index: number) => connections[index % connections.length] as EtcdConnection;
  let heard: (host: SimulatedHost, key: string) => void = () => undefined;
  const hear = (host: SimulatedHost, key: string): void => heard(host, key);
  const profile = keys.profile('default', 'web');

  await phase(etcd, `${options.hosts * options.instances} instances are put`, async () => {
    await of(0).write([{ put: profile, value: '{"config":{"user.version":"0"}}' }]);
    const all = hosts.flatMap(({ name }) =>
      Array.from({ length: options.instances }, (_, index) => keys.instance(name, 'default', `${name}-i${index}`)),
    );
    const parts = Array.from({ length: Math.ceil(all.length / 100) }, (_, part) =>
      all.slice(part * 100, part * 100 + 100),
    );
    await each(parts, 16, (part, index) => of(index).write(part.map((put) => ({ put, value: instance('web', '0') }))));
    const { revision } = await of(0).now(keys.shared);
    for (const host of hosts) host.revision = BigInt(revision);
    return '';
  });
  await phase(etcd, `${options.hosts} hosts begin to follow`, async () => {
    await each(hosts, 200, (host, index) => host.follow(of(index), hear));
    return '';
  });
  for (const attempt of ['1st', '2nd'])
    await phase(etcd, `a profile is put, ${attempt} time`, async () => {
      const times: number[] = [];
      const began = performance.now();
      const all = new Promise<void>((resolve) => {
        heard = (_, key) => {
          if (key === profile) times.push(performance.now() - began);
          if (times.length === hosts.length) resolve();
        };
      });
      await of(0).write([{ put: profile, value: `{"config":{"user.version":"${attempt}"}}` }]);
      await all;
      return `: first ${quantile(times, 0)}, median ${quantile(times, 0.5)}, last ${quantile(times, 1)}`;
    });
  await phase(etcd, '1,000 puts for single hosts, 8 at once', async () => {
    const began = new Map<string, number>();
    const times: number[] = [];
    heard = (_, key) => void times.push(performance.now() - (began.get(key) ?? 0));
    const chosen = Array.from({ length: 1000 }, (_, index) => hosts[(index * 7919) % hosts.length] as SimulatedHost);
    await each(chosen, 8, async ({ name }, index) => {
      const put = keys.instance(name, 'default', `${name}-new${index}`);
      began.set(put, performance.now());
      await of(index).write([{ put, value: instance('web', String(index)) }]);
    });
    await eventually('all are heard', () => times.length === chosen.length, 60);
    return `: until it is heard p50 ${quantile(times, 0.5)}, p99 ${quantile(times, 0.99)}`;
  });
  for (const host of hosts) host.leave();
  await phase(etcd, 'all reconnect, and go on from their revision', async () => {
    await each(hosts, 200, (host, index) => host.follow(of(index), hear));
    return '';
  });
  await phase(etcd, 'all read everything again', async () => {
    let count = 0;
    await each(hosts, 200, async (host, index) => {
      const read = await host.readAll(of(index));
      count += read;
    });
    return ` (${count} keys)`;
  });
  for (const host of hosts) host.leave();
  for (const connection of connections) connection.close();
}

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { instancePath } from '../../src/cli/with-client.js';
import type { TestDaemon } from '../support/daemon.js';
import type { Guest, Guests } from '../support/guest-processes.js';
import { ask } from '../support/http.js';
import type { ModelGuest } from './model.js';

/** A caller of the guests' socket, and what the model knows of it. */
export interface FuzzedGuest {
  readonly connect: () => Socket;
  readonly model: ModelGuest;
  /** of its instance; undefined: it is in none */
  readonly index: number | undefined;
}

const [imageBytes, bigTimes] = [50_000, 10_000];

/** Instances with values of their own, other users in them, and a guest that is in no instance. */
export class FuzzedGuests {
  readonly image: ModelGuest['image'];
  readonly roots: readonly FuzzedGuest[];
  /** one that is no root of an instance for every few that are */
  readonly others: readonly FuzzedGuest[];
  readonly #daemon: TestDaemon;
  #changes = 0;

  private constructor(
    daemon: TestDaemon,
    image: ModelGuest['image'],
    roots: readonly FuzzedGuest[],
    others: readonly FuzzedGuest[],
  ) {
    this.#daemon = daemon;
    this.image = image;
    this.roots = roots;
    this.others = others;
  }

  static async start(daemon: TestDaemon, guests: Guests, count: number): Promise<FuzzedGuests> {
    const bytes = randomBytes(imageBytes);
    const headers = { 'x-lxd-public': 'true' };
    const made = await daemon.client.upload('/1.0/images', Readable.from([bytes]), bytes.length, headers);
    const { fingerprint } = made as { fingerprint: string };
    const image = { fingerprint, bytes };
    const [unknown, ...known] = guests.spawn(count + 1) as [Guest, ...Guest[]];
    const roots = await Promise.all(known.map((guest, index) => rootOf(daemon, guest, index, image)));
    const nothing = { json: new Map(), raw: new Map(), image };
    const others: FuzzedGuest[] = [
      { connect: () => unknown.connect(daemon.socket), model: { caller: 'unknown', ...nothing }, index: undefined },
    ];
    if (process.getuid?.() === 0) {
      const connect = () => (known[0] as Guest).connect(daemon.socket, { uid: 1000 });
      others.push({ connect, model: { caller: 'user', ...nothing }, index: 0 });
    }
    return new FuzzedGuests(daemon, image, roots, others);
  }

  /** Changes a value of one of them. @returns it, and the value that it must be told */
  async change(): Promise<readonly [FuzzedGuest, string]> {
    const generation = ++this.#changes;
    const guest = this.roots[generation % this.roots.length] as FuzzedGuest;
    const mark = `mark-${guest.index}-${generation}`;
    await this.#daemon.client.request('PATCH', instancePath(`g${guest.index}`), { config: { 'user.mark': mark } });
    (guest.model.raw as Map<string, string>).set('/1.0/config/user.mark', mark);
    return [guest, mark];
  }
}

async function rootOf(
  daemon: TestDaemon,
  guest: Guest,
  index: number,
  image: ModelGuest['image'],
): Promise<FuzzedGuest> {
  const connect = () => guest.connect(daemon.socket);
  const config = { 'user.mark': `mark-${index}-0`, 'user.big': `mark-${index}-`.repeat(bigTimes) };
  const disk = { type: 'disk', path: `/mark-${index}-` };
  await daemon.create(`g${index}`, { ...config, 'security.devlxd.images': 'true' }, { disk });
  await daemon.startInstance(`g${index}`, guest.pid);
  const told = async (path: string) => [path, (await ask(connect(), path)).body] as const;
  const json = new Map([
    ['/', '["/1.0"]\n'],
    await told('/1.0'),
    ['/1.0/config', '["/1.0/config/user.big","/1.0/config/user.mark"]\n'],
    ['/1.0/devices', `${JSON.stringify({ disk: { path: disk.path, type: disk.type } })}\n`],
    ['/1.0/ubuntu-pro', '{"guest_attach":"off"}\n'],
  ]);
  const values = Object.entries(config).map(([key, value]) => [`/1.0/config/${key}`, value] as const);
  const raw = new Map([await told('/1.0/meta-data'), ...values]);
  return { connect, index, model: { caller: 'root', json, raw, image } };
}

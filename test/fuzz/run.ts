import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { instancePath } from '../../src/cli/with-client.js';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type Guest, Guests } from '../support/guest-processes.js';
import { ask } from '../support/http.js';
import { corpus } from './corpus.js';
import { Random } from './random.js';
import { complaintAbout } from './responses.js';
import { type Stream, stream } from './streams.js';

export interface FuzzOptions {
  readonly seed: number;
  readonly streams: number;
  readonly progress?: (done: number) => void;
  /** options of the daemon */
  readonly daemon?: readonly string[];
}

export interface FuzzResult {
  readonly streams: number;
  readonly answers: number;
  readonly bytes: number;
  /** resident memory after the first tenth, and at the end; kilobytes */
  readonly memory: readonly [warm: number, end: number];
}

const guestCount = 8;
const atATime = 48;
const checkEvery = 1000;
const stayingAtMost = 64;

/**
 * Random streams of several guests and of callers that nobody knows. The daemon must live, answer in HTTP, give every
 * guest its own values only, and give everything back.
 * @throws AssertionError, with the stream that did it
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const daemon = await TestDaemon.start(['--limit-hold-seconds', '1', ...(options.daemon ?? [])]);
  const guests = new Guests();
  try {
    return await new Fuzzer(daemon, guests, options).run();
  } finally {
    await guests.close();
    await daemon.remove();
  }
}

class Fuzzer {
  readonly #daemon: TestDaemon;
  readonly #options: FuzzOptions;
  readonly #random: Random;
  /** the last is in no instance */
  readonly #guests: Guest[];
  readonly #staying: Socket[] = [];
  #image = '';
  #started = 0;
  #done = 0;
  #changes = 0;
  #answers = 0;
  #bytes = 0;

  constructor(daemon: TestDaemon, guests: Guests, options: FuzzOptions) {
    this.#daemon = daemon;
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#guests = guests.spawn(guestCount + 1);
  }

  async run(): Promise<FuzzResult> {
    await this.#prepare();
    const descriptors = this.#descriptors();
    for (const [index, known] of corpus.entries()) await this.#play(known, index % guestCount);
    let warm = 0;
    while (this.#started < this.#options.streams) {
      const until = Math.min(this.#options.streams, this.#started + checkEvery);
      await Promise.all(Array.from({ length: atATime }, () => this.#playUntil(until)));
      await this.#check();
      if (warm === 0 && this.#done >= this.#options.streams / 10) warm = this.#memory();
    }
    for (const socket of this.#staying) socket.destroy();
    await eventually('descriptors are given back', () => this.#descriptors() <= descriptors);
    await this.#check();
    return { streams: this.#done, answers: this.#answers, bytes: this.#bytes, memory: [warm, this.#memory()] };
  }

  async #prepare(): Promise<void> {
    const image = randomBytes(50_000);
    const headers = { 'x-lxd-public': 'true' };
    const made = await this.#daemon.client.upload('/1.0/images', Readable.from([image]), image.length, headers);
    this.#image = (made as { fingerprint: string }).fingerprint;
    for (const [index, { pid }] of this.#guests.slice(0, guestCount).entries()) {
      const big = `mark-${index}-`.repeat(10_000);
      const config = { 'user.mark': `mark-${index}-0`, 'user.big': big, 'security.devlxd.images': 'true' };
      const disk = { type: 'disk', path: `/mark-${index}-` };
      await this.#daemon.create(`g${index}`, config, { disk });
      await this.#daemon.startInstance(`g${index}`, pid);
    }
  }

  async #playUntil(until: number): Promise<void> {
    while (this.#started < until) {
      this.#started++;
      await this.#play(stream(this.#random, this.#image), this.#random.below(guestCount + 1));
      this.#done++;
      this.#options.progress?.(this.#done);
    }
  }

  /** Sends one stream from a guest, and looks at what comes back. */
  async #play({ pieces, end }: Stream, index: number): Promise<void> {
    const socket = (this.#guests[index] as Guest).connect(this.#daemon.socket);
    const received: string[] = [];
    socket.setEncoding('latin1');
    socket.on('data', (data: string) => received.push(data));
    const closed = new Promise<void>((resolve) => socket.on('error', () => undefined).on('close', () => resolve()));
    for (const [number, piece] of pieces.entries()) {
      if (number > 0) await new Promise(setImmediate);
      socket.write(piece);
    }
    if (end === 'stays') this.#stay(socket);
    else if (end === 'gone') socket.destroy();
    else socket.end();
    if (end !== 'stays') await closed;
    const text = received.join('');
    this.#answers += text === '' ? 0 : 1;
    this.#bytes += text.length;
    const foreign = [...text.matchAll(/mark-(\d+)-/g)].find(([, mark]) => Number(mark) !== index);
    const complaint = foreign ? `guest ${index} was given ${foreign[0]}` : complaintAbout(text);
    assert.equal(
      complaint,
      undefined,
      `stream ${JSON.stringify({ pieces: pieces.map((p) => p.toString('latin1')), end })}`,
    );
  }

  #stay(socket: Socket): void {
    this.#staying.push(socket);
    if (this.#staying.length > stayingAtMost) this.#staying.shift()?.destroy();
  }

  /** Between the streams: a change, and each guest asks as it should. */
  async #check(): Promise<void> {
    const generation = ++this.#changes;
    const index = generation % guestCount;
    const config = { 'user.mark': `mark-${index}-${generation}` };
    await this.#daemon.client.request('PATCH', instancePath(`g${index}`), { config });
    const guest = this.#guests[index] as Guest;
    const { body } = await ask(guest.connect(this.#daemon.socket), '/1.0/config/user.mark');
    assert.equal(body, config['user.mark']);
    const failure = this.#daemon.log.find(({ level }) => Number(level) >= 50);
    assert.equal(failure, undefined, 'the daemon met a surprise');
  }

  #descriptors(): number {
    return readdirSync(`/proc/${this.#daemon.pid}/fd`).length;
  }

  #memory(): number {
    const status = readFileSync(`/proc/${this.#daemon.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
  }
}

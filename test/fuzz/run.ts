import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { Guests } from '../support/guest-processes.js';
import { ask } from '../support/http.js';
import { corpus, requests } from './corpus.js';
import { type FuzzedGuest, FuzzedGuests } from './fuzzed-guests.js';
import { Random } from './random.js';
import { complaintAbout } from './responses.js';
import { type Stream, stream } from './streams.js';
import { threeWays } from './three-ways.js';

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
/** A caller of no instance is held for a second, each time. */
const othersPercent = 3;

const options = ['--limit-hold-seconds', '1', '--limit-state-writes-per-minute', '0'];

/**
 * Random streams of several guests and of callers that nobody knows, each as it is and then three ways, as the model
 * says. The daemon must live, answer in HTTP, give every guest its own values only, and give everything back.
 * @throws AssertionError, with the stream that did it
 */
export async function fuzz(given: FuzzOptions): Promise<FuzzResult> {
  const daemon = await TestDaemon.start([...options, ...(given.daemon ?? [])]);
  const guests = new Guests();
  try {
    return await new Fuzzer(daemon, await FuzzedGuests.start(daemon, guests, guestCount), given).run();
  } finally {
    await guests.close();
    await daemon.remove();
  }
}

class Fuzzer {
  readonly #daemon: TestDaemon;
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #guests: FuzzedGuests;
  readonly #staying: Socket[] = [];
  #started = 0;
  #done = 0;
  #answers = 0;
  #bytes = 0;

  constructor(daemon: TestDaemon, guests: FuzzedGuests, options: FuzzOptions) {
    this.#daemon = daemon;
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#guests = guests;
  }

  async run(): Promise<FuzzResult> {
    const descriptors = this.#descriptors();
    for (const known of corpus) await this.#play(known, this.#random.pick(this.#guests.roots));
    for (const request of requests) await this.#compare(request, this.#random.pick(this.#guests.roots));
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

  async #playUntil(until: number): Promise<void> {
    const { roots, others, image } = this.#guests;
    while (this.#started < until) {
      this.#started++;
      const guest = this.#random.pick(this.#random.percent(othersPercent) ? others : roots);
      const sent = stream(this.#random, image.fingerprint);
      await this.#play(sent, guest);
      await this.#compare(Buffer.concat(sent.pieces), guest);
      this.#done++;
      this.#options.progress?.(this.#done);
    }
  }

  async #compare(bytes: Buffer, { model, connect }: FuzzedGuest): Promise<void> {
    const wrong = await threeWays(model, connect, bytes, this.#random);
    if (wrong !== undefined) assert.fail(wrong);
  }

  /** Sends one stream from a guest, and looks at what comes back. */
  async #play({ pieces, end }: Stream, { connect, index }: FuzzedGuest): Promise<void> {
    const socket = connect();
    const received: string[] = [];
    socket.setEncoding('latin1');
    socket.on('data', (data: string) => received.push(data));
    const closed = new Promise<void>((resolve) => socket.on('error', () => undefined).on('close', () => resolve()));
    for (const [number, piece] of pieces.entries()) {
      if (number > 0) await turn();
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
    const [{ connect }, mark] = await this.#guests.change();
    assert.equal((await ask(connect(), '/1.0/config/user.mark')).body, mark);
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

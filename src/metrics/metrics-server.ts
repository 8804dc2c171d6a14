import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { InFlight } from '../concurrency/in-flight.js';
import { ControlListener } from '../gate/control-listener.js';
import { duplicate } from '../gate/unix-socket.js';
import type { LimitHits } from '../limits/limit-hits.js';
import { ScrapeConnection, type ScrapeState } from './scrape-connection.js';
import type { Scrape } from './scrapes.js';

/** Open connections; a caller beyond them takes the place of one that has asked for nothing yet, or reads slowly. */
const mostConnections = 16;

/** So many are accepted in so many milliseconds: whatever a caller does, guests do not notice. */
const mostAccepted = 16;
const acceptMilliseconds = 100;

/** How long an answer may take when the daemon stops. */
const lastSeconds = 1;

/** A connection that was accepted just before has this long to send its request. */
const acceptedSeconds = 0.2;

/** The order in which connections make room for others. One that waits for its scrape never does. */
const givingWay: readonly ScrapeState[] = ['reading', 'writing'];

/** Serves the metrics and nothing else, on a socket that is not the operators': nothing can be written there. */
export class MetricsServer {
  readonly #take: (perInstance: boolean) => Promise<Scrape>;
  readonly #limitHits: LimitHits;
  readonly #fd: number;
  readonly #listener = new ControlListener((fd) => this.#connected(fd));
  /** oldest first */
  readonly #open = new Set<ScrapeConnection>();
  readonly #inFlight = new InFlight();
  /** what callers must show; undefined: nothing */
  token: string | undefined;
  #accepted = 0;
  #timer: NodeJS.Timeout | undefined;

  /** fd: a listening socket, the server's from here on */
  constructor(
    fd: number,
    token: string | undefined,
    take: (perInstance: boolean) => Promise<Scrape>,
    limitHits: LimitHits,
  ) {
    this.#fd = fd;
    this.token = token;
    this.#take = take;
    this.#limitHits = limitHits;
  }

  run(): void {
    this.#listener.listen(duplicate(this.#fd));
  }

  /** Accepts nobody; what has been asked is answered, for a moment. Callers in the backlog wait for the next process. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#listener.stop();
    closeSync(this.#fd);
    await this.#inFlight.ended(acceptedSeconds);
    for (const connection of this.#open) if (connection.state === 'reading') connection.close();
    await this.#inFlight.ended(lastSeconds);
    for (const connection of this.#open) connection.close();
  }

  #connected(fd: number): void {
    if (++this.#accepted === mostAccepted) this.#pause();
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    // Where all wait for one scrape, the next callers wait in the backlog for a moment.
    if (this.#open.size >= mostConnections && !this.#makeRoom()) this.#pause();
    const connection = new ScrapeConnection(socket, this.token, ({ perInstance }) => this.#take(perInstance));
    const ended = this.#inFlight.begin();
    this.#open.add(connection);
    socket.on('close', () => {
      this.#open.delete(connection);
      ended();
    });
  }

  #makeRoom(): boolean {
    this.#limitHits.add('metrics-connections');
    for (const state of givingWay) {
      for (const connection of this.#open) {
        if (connection.state !== state) continue;
        connection.close();
        this.#open.delete(connection);
        return true;
      }
    }
    return false;
  }

  /** Callers wait in the backlog, which costs nothing. */
  #pause(): void {
    this.#listener.stop();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#accepted = 0;
      this.run();
    }, acceptMilliseconds).unref();
  }
}

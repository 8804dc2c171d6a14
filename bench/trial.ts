import type { Answer } from './answer.js';
import type { Pins } from './machine.js';
import type { Workplace } from './workplace.js';

/** How long and how often, for all trials of a run. */
export interface Plan {
  readonly rounds: number;
  /** of one load, after these seconds of warm-up */
  readonly seconds: number;
  readonly warmup: number;
  /** how many of the instances that a trial is about there are, at most 1 */
  readonly scale: number;
}

/** What every trial of a run works with. */
export interface Bench {
  readonly plan: Plan;
  readonly pins: Pins;
  readonly workplace: Workplace;
  /** what every side answers to GET /1.0 */
  readonly answer: Answer;
}

/** What is under test, running. */
export interface Running {
  readonly pid: number;
  /** Ends it; gives what went wrong in it, one sentence each. */
  stop(): Promise<string[]>;
}

/** One that guests ask. */
export interface Server extends Running {
  readonly socket: string;
  /** words that put a command into a guest that is there already; else each load gets a guest of its own */
  readonly enter?: readonly string[];
  /** Makes guests known, by the pids of their inits, before they ask. */
  admit(pids: readonly number[]): Promise<void>;
  /** Sends one event to all listeners of the guest that came last. */
  announce(): Promise<void>;
}

/** One that knows afterwards what it knew. */
export interface Restartable extends Server {
  /** the control socket */
  readonly control: string;
  readonly runDir: string;
  /** Creates this many stopped instances. */
  store(count: number): Promise<void>;
  /** Ends it and starts it again; gives the time, of performance.now(), at which it was started. */
  restart(): Promise<number>;
}

/** One side of the comparison. */
export interface Side<Kind extends Running = Server> {
  readonly name: string;
  start(bench: Bench): Promise<Kind>;
}

/** Further figures that show which process was the bottleneck: the use of one core. */
export const serverShare = 'server %';
export const loadShare = 'load %';

/** What one round of one side gave. */
export interface Sample {
  /** in the trial's unit */
  readonly value: number;
  /** what else was seen, by a name that ends in its unit */
  readonly also: Readonly<Record<string, number>>;
  /** what makes the figure worthless */
  readonly faults: readonly string[];
  readonly notes?: readonly string[];
}

/** What is wanted of devlxd (DESIGN, section 7). */
export interface Goal {
  /** name of the side that has to reach it (devlxd) */
  readonly subject?: string;
  readonly of: 'ratio' | 'value';
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Trial<Kind extends Running = Server> {
  readonly name: string;
  readonly about: string;
  readonly unit: string;
  readonly sides: readonly Side<Kind>[];
  /** name of the side that the others are divided by */
  readonly reference: string;
  readonly goal?: Goal;
  /** the sides answer with different numbers of bytes, and that is how it is */
  readonly unlike?: boolean;
  /** The kernel places all processes, as on any host: pinned, the threads of the daemon would take turns on one core. */
  readonly unpinned?: boolean;
  /** each round starts its own server: the trial wears it out */
  readonly freshServers?: boolean;
  /** names among what else was seen that belong into the table */
  readonly columns: readonly string[];
  /** A method, so that trials of all kinds of sides fit into one list. */
  measure(bench: Bench, server: Kind): Promise<Sample>;
}

/** A server that stops otherwise, as where something runs beside it. */
export function stoppedBy(server: Server, stop: Server['stop']): Server {
  return {
    socket: server.socket,
    pid: server.pid,
    admit: (pids) => server.admit(pids),
    announce: () => server.announce(),
    stop,
  };
}

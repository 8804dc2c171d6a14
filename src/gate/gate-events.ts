import type { NativeGateEvents } from './addon.js';
import type { Caller } from './caller.js';
import { type HeldCaller, heldCallers } from './gate-connections.js';

/** What the gate tells of its own accord, and asks. */
export interface GateEvents {
  /** The inits of these slots have exited; their connections are closed already. */
  onInitExit(slots: readonly number[]): void;
  /** These callers are held. */
  onHeld(callers: readonly HeldCaller[]): void;
  /** These are not held any more: called before anything is read from their connections, or they are closed. */
  onLetGo(tickets: readonly number[]): void;
  /**
   * A GET in HTTP/1.1 without a body, by an instance's caller: the gate writes the answer, keeps it for the instance's
   * root to be given again, and counts it; and charges the instance. It may do nothing but answer: no connection may be
   * touched, nothing may be counted, and no promise or tick that it begins runs soon. Left out, undefined, thrown, or
   * more than the kernel takes in one piece: the request comes through uWebSockets.
   * @param target path and query, as they were sent, in ASCII
   */
  onRequest?(caller: Caller, target: string): DirectAnswer | undefined;
}

/** It depends on the instance alone. */
export interface DirectAnswer {
  /** status line and headers, each with its CRLF, without Date and Content-Length */
  readonly head: string;
  readonly body: string;
  /** of its endpoint and status; it is counted as this */
  readonly kind: number;
}

/** Characters of a body that may be too long already with its head (kLongestResponse). */
const longestBody = 4096;

export function nativeEvents(events: GateEvents): NativeGateEvents {
  const answerKind = new Uint32Array(1);
  return {
    onInitExit: (slots) => events.onInitExit(slots),
    onHeld: (flat) => events.onHeld(heldCallers(flat)),
    onLetGo: (tickets) => events.onLetGo(tickets),
    answerKind,
    onRequest: (caller, target) => {
      const answer = events.onRequest?.(caller as Caller, target);
      if (answer === undefined || answer.body.length > longestBody) return undefined;
      answerKind[0] = answer.kind;
      return `${answer.head}\r\n${answer.body}`;
    },
  };
}

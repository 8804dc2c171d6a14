import { type Caller, isRoot, slotOf } from '../gate/caller.js';
import type { DirectAnswer } from '../gate/gate-events.js';
import { noEndpoint, type RequestCounts } from '../http/request-counts.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Log } from '../log.js';
import { dependsOnInstanceAlone, headOf } from './guest-reply.js';
import { answer, find, hasConditions } from './route.js';

/**
 * Most requests, answered without an exchange of uWebSockets: reads of what the instance alone decides. Whatever else a
 * request needs, or is to be noted of it, the dispatcher does when the request comes again through uWebSockets.
 */
export class DirectAnswers {
  readonly #running: RunningInstances;
  readonly #requests: RequestCounts;
  readonly #log: Log;

  constructor(running: RunningInstances, requests: RequestCounts, log: Log) {
    this.#running = running;
    this.#requests = requests;
    this.#log = log;
  }

  /** `GateEvents.onRequest`: what is thrown is thrown again in the dispatcher, which logs and answers it. */
  answer(caller: Caller, target: string): DirectAnswer | undefined {
    const instance = this.#running.at(slotOf(caller));
    if (instance === undefined || this.#log.isLevelEnabled('debug')) return undefined; // each request appears there
    const mark = target.indexOf('?');
    const path = mark < 0 ? target : target.slice(0, mark);
    if (hasConditions(path)) return undefined;
    const query = mark < 0 ? '' : target.slice(mark + 1);
    const match = find(path);
    const snapshot = { method: 'GET', path, query, body: undefined, conditions: undefined };
    const reply = answer(instance, isRoot(caller), snapshot, match);
    if (reply.kind !== 'body' || reply.reached !== undefined || !dependsOnInstanceAlone(reply)) return undefined;
    const kind = this.#requests.add(match?.endpoint.path ?? noEndpoint, reply.status, 0);
    return { head: headOf(reply), body: reply.body, kind };
  }
}

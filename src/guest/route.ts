import { percentDecode } from '../http/percent-decode.js';
import { type Match, Routes } from '../http/routes.js';
import type { Conditions } from '../images/download.js';
import type { Instance } from '../model/instance.js';
import { flag, servesNonroot } from '../model/instance.js';
import { type Endpoint, endpoints, type Handler } from './guest-endpoints.js';
import { errorsOf } from './guest-errors.js';
import { json, type Reply } from './guest-reply.js';

/** A request, copied out of uWebSockets' request, which is gone after the handler returns. */
export interface RequestSnapshot {
  readonly method: string;
  /** as sent, without the query */
  readonly path: string;
  readonly query: string;
  /** undefined: it has not been read */
  readonly body: string | undefined;
  /** undefined: not looked at, because no answer to this path depends on them */
  readonly conditions: Conditions | undefined;
}

const unconditional: Conditions = { range: '', ifRange: '', ifNoneMatch: '' };

/** Do the headers about ranges and entity tags matter for this path? */
export function hasConditions(path: string): boolean {
  return path.startsWith('/1.0/images/');
}

const routes = new Routes(endpoints);

/**
 * Answers one request of a known caller, in the order that the API lays down: root, path, method, flags, handler.
 * root: is the caller uid 0 of the instance? match: what `find` has found for the path
 */
export function answer(
  instance: Instance,
  root: boolean,
  snapshot: RequestSnapshot,
  match: Match<Endpoint> | undefined,
): Reply {
  const errors = errorsOf(instance.source);
  if (!root && !servesNonroot(instance)) return errors.notRoot;
  if (match === undefined) return errors.notFound;
  const handler = handlerOf(match.endpoint, snapshot.method);
  if (handler === undefined) return errors.notImplemented;
  if (!isServed(instance)) return errors.forbidden;
  if (match.endpoint.reads === snapshot.method && snapshot.body === undefined) return { kind: 'read' };
  const parameter = percentDecode(match.parameter);
  if (parameter === undefined) return errors.badRequest;
  const reply = handler({
    instance,
    parameter,
    query: snapshot.query,
    body: snapshot.body ?? '',
    conditions: snapshot.conditions ?? unconditional,
  });
  // HEAD of an endless stream is its head.
  return reply.kind === 'events' && snapshot.method === 'HEAD' ? { ...json(''), endless: true } : reply;
}

/** undefined: the endpoint has no such method. An own property only: guests send "constructor" and "__proto__", too. */
function handlerOf({ methods }: Endpoint, method: string): Handler | undefined {
  const name = method === 'HEAD' ? 'GET' : method;
  return Object.hasOwn(methods, name) ? methods[name] : undefined;
}

/** May the instance use the API at all? */
export function isServed(instance: Instance): boolean {
  return flag(instance, 'security.devlxd', true);
}

/** The endpoint that a path means; undefined: none. */
export function find(path: string): Match<Endpoint> | undefined {
  return routes.find(path === '/1.0/' ? '/1.0' : path);
}

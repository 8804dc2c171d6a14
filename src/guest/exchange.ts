import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js';
import { type BodyReply, errorType } from './reply.js';
import type { Asked } from './route.js';

/** A WebSocket upgrade as the client asked for it, copied out of the request. */
interface Upgrade {
  readonly key: string;
  readonly protocol: string;
  readonly extensions: string;
  readonly context: us_socket_context_t;
}

/** A request on its way, copied out of what uWebSockets takes back when the handler returns. */
export interface Exchange {
  readonly response: HttpResponse;
  asked: Asked;
  readonly upgrade: Upgrade | undefined;
  /** the caller has gone: the response must not be touched */
  aborted: boolean;
}

/** context: of the WebSocket route, when an upgrade is asked for. */
export function exchangeOf(response: HttpResponse, request: HttpRequest, context?: us_socket_context_t): Exchange {
  const upgrade = context && upgradeOf(request, context);
  return { response, asked: askedOf(request), upgrade, aborted: false };
}

function askedOf(request: HttpRequest): Asked {
  return { method: request.getCaseSensitiveMethod(), path: request.getUrl(), query: request.getQuery(), body: '' };
}

/** May it have a body that has to be read first? */
export function hasBody({ method }: Asked): boolean {
  return method !== 'GET' && method !== 'HEAD';
}

function upgradeOf(request: HttpRequest, context: us_socket_context_t): Upgrade {
  return {
    key: request.getHeader('sec-websocket-key'),
    protocol: request.getHeader('sec-websocket-protocol'),
    extensions: request.getHeader('sec-websocket-extensions'),
    context,
  };
}

/** Answers and closes: what is still to come of the request is not read. */
export function writeLast(exchange: Exchange, reply: BodyReply): void {
  exchange.response.writeStatus(reply.status).writeHeader('Content-Type', reply.type).end(reply.body, true);
}

/** Inside the handler, or in a cork. */
export function write({ response, asked }: Exchange, reply: BodyReply): void {
  if (reply.status !== '200 OK') response.writeStatus(reply.status); // uWebSockets' own, otherwise
  response.writeHeader('Content-Type', reply.type);
  if (reply.type === errorType) response.writeHeader('X-Content-Type-Options', 'nosniff');
  // endWithoutBody(length) counts the body that never comes as still missing, and uWebSockets ends the process.
  if (asked.method === 'HEAD')
    response.writeHeader('Content-Length', String(Buffer.byteLength(reply.body))).endWithoutBody();
  else response.end(reply.body);
}

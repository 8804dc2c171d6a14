import { Fault, invalid } from '../errors.js';
import { percentDecode } from '../http/percent-decode.js';
import { lostKeyIn } from '../http/query-text.js';
import { noEndpoint } from '../http/request-counts.js';
import { type Match, Routes } from '../http/routes.js';
import type { ControlEndpoint } from './control-endpoints.js';
import type { ControlHandler, ControlRequest, UploadHandler } from './control-reply.js';

/** What a request asks for. */
interface Asked extends Pick<ControlRequest, 'parameters' | 'query'> {
  /** as it is counted */
  readonly endpoint: string;
  readonly handler: ControlHandler;
}

interface AskedToReceive extends Omit<Asked, 'handler'> {
  readonly upload: UploadHandler;
}

/** There is nothing that a request could ask for. */
interface Refused {
  readonly endpoint: string;
  readonly fault: Fault;
}

export type Destination = Asked | AskedToReceive | Refused;

interface Target {
  readonly path: string;
  readonly query: URLSearchParams;
}

/** Of these nothing has to be understood: what most ask is looked up as it is. */
const plainPath = /^\/1\.0(?:\/[\w-]+)*$/;
const noQuery = new URLSearchParams();

/** Says what requests ask for, however they were read. */
export class ControlRoutes {
  readonly #routes: Routes<ControlEndpoint>;

  constructor(endpoints: readonly ControlEndpoint[]) {
    this.#routes = new Routes(endpoints);
  }

  /** method: GET for HEAD; url: the target as it was sent */
  find(method: string, url: string): Destination {
    let endpoint = noEndpoint;
    try {
      const { path, query } = targetOf(url);
      const match = this.#routes.find(withoutTrailingSlash(path));
      if (match === undefined)
        throw new Fault('not-found', `devlxd has no "${path}"; its part of LXD's API is in docs/host-api.md`);
      endpoint = match.endpoint.path;
      const { methods, upload } = match.endpoint;
      if (method === 'POST' && upload !== undefined)
        return { endpoint, upload, parameters: parametersOf(match), query };
      const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
      if (handler === undefined) throw new Fault('not-implemented', `devlxd has no ${method} of "${path}"`);
      return { endpoint, handler, parameters: parametersOf(match), query };
    } catch (fault) {
      if (fault instanceof Fault) return { endpoint, fault };
      throw fault;
    }
  }
}

function targetOf(url: string): Target {
  if (plainPath.test(url)) return { path: url, query: noQuery };
  const { pathname, searchParams } = urlOf(url);
  return { path: pathname, query: searchParams };
}

/** @throws Fault invalid-value */
export function urlOf(url: string): URL {
  const parsed = URL.canParse(url, 'http://devlxd') ? new URL(url, 'http://devlxd') : undefined;
  if (parsed === undefined) throw new Fault('invalid-value', `"${url}" is no path`);
  const lost = lostKeyIn(parsed.search);
  if (lost !== undefined) throw invalid(lost, 'in the query is not UTF-8');
  return parsed;
}

function withoutTrailingSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

/** The segment of the path that stands for {name}. */
function parametersOf({ name, parameter }: Match<ControlEndpoint>): Record<string, string> {
  if (name === '') return {};
  const value = percentDecode(parameter);
  if (value === undefined) throw new Fault('invalid-value', `"${parameter}" in the path is not percent-encoded text`);
  return { [name]: value };
}

/** What an endpoint needs to be found by; {name} in its path stands for one segment. */
export interface Routed {
  readonly path: string;
}

export interface Match<Endpoint> {
  readonly endpoint: Endpoint;
  /** what the path of the endpoint calls it: the "name" of {name} */
  readonly name: string;
  /** the segment that stands for {name}, still percent-encoded; '' where the path has none */
  readonly parameter: string;
}

interface Pattern<Endpoint> {
  readonly prefix: string;
  readonly suffix: string;
  readonly name: string;
  readonly endpoint: Endpoint;
}

/** Finds the endpoint that a path means. The patterns are taken apart once, since this is asked for each request. */
export class Routes<Endpoint extends Routed> {
  readonly #fixed: ReadonlyMap<string, Endpoint>;
  readonly #patterns: readonly Pattern<Endpoint>[];

  /** endpoints: of two that fit, the first is meant, and one without a {name} before one with it */
  constructor(endpoints: readonly Endpoint[]) {
    const isFixed = ({ path }: Endpoint): boolean => !path.includes('{');
    this.#fixed = new Map(endpoints.filter(isFixed).map((endpoint) => [endpoint.path, endpoint]));
    this.#patterns = endpoints
      .filter((endpoint) => !isFixed(endpoint))
      .map((endpoint) => {
        const [prefix = '', name = '', suffix = ''] = endpoint.path.split(/\{(\w+)\}/);
        return { prefix, suffix, name, endpoint };
      });
  }

  /** path: as it was sent, without the query; undefined: no endpoint has it */
  find(path: string): Match<Endpoint> | undefined {
    const endpoint = this.#fixed.get(path);
    if (endpoint !== undefined) return { endpoint, name: '', parameter: '' };
    for (const { prefix, suffix, name, endpoint } of this.#patterns) {
      if (!path.startsWith(prefix) || !path.endsWith(suffix)) continue;
      const parameter = path.slice(prefix.length, path.length - suffix.length);
      if (parameter !== '' && !parameter.includes('/')) return { endpoint, name, parameter };
    }
    return undefined;
  }
}

import type { InstanceType } from '../api/types.js';
import { ApiError } from './client-errors.js';
import type { Method, Requests } from './requests.js';

/** Which of them a list is about. */
export interface ListQuery {
  /** such as `status=Running and config.user.role=web`; docs/host-api.md */
  readonly filter?: string;
  /** of all projects, and not only of the client's */
  readonly allProjects?: boolean;
  /** each with the entity tag of its version, as `etag` */
  readonly etags?: boolean;
}

/** What of a thing can be written, with what it is known by. */
export type Writable<Written> = Written & {
  readonly name: string;
  /** of an instance */
  readonly type?: InstanceType | undefined;
  /** where it was asked for */
  readonly etag?: string;
};

const editAttempts = 5;
const preconditionFailed = 412;

/** What is kept under names: instances, profiles, projects. */
export class Collection<Shown extends Written, Written extends object> {
  protected readonly requests: Requests;
  readonly #collection: string;
  readonly #fields: readonly (keyof Written)[];
  readonly #inProject: boolean;

  /** fields: only ones that can be written */
  constructor(requests: Requests, collection: string, fields: readonly (keyof Written)[], inProject = true) {
    this.requests = requests;
    this.#collection = collection;
    this.#fields = fields;
    this.#inProject = inProject;
  }

  /** By name. @throws ApiError 400, when the filter cannot be read; 404, when there is no such project */
  async list(query: ListQuery = {}): Promise<Shown[]> {
    return this.requests.request<Shown[]>('GET', this.listPath(query, 1));
  }

  /** The same, one by one as they come, however many there are: all of the moment at which they were asked for. */
  async *each(query: ListQuery = {}): AsyncGenerator<Shown, void, void> {
    for await (const line of this.lines(query)) yield JSON.parse(line) as Shown;
  }

  /** The JSON of what of each can be written (Writable) and no more; some at a time, as they come. @throws as list does */
  writableLines(query: ListQuery = {}): AsyncGenerator<string[], void, void> {
    return this.requests.linesAsTheyCome(this.listPath(query, 1, { writable: 'true' }));
  }

  /** The JSON of each. @throws as list does */
  lines(query: ListQuery = {}): AsyncGenerator<string, void, void> {
    return this.requests.lines(this.listPath(query, 1));
  }

  /** @throws ApiError 404 */
  async get(name: string): Promise<Shown> {
    return (await this.tagged(name)).value;
  }

  /** The same, with the entity tag of this version. @throws ApiError 404 */
  async tagged(name: string): Promise<{ readonly value: Shown; readonly etag: string }> {
    const { metadata: value, etag } = await this.requests.exchange<Shown>('GET', this.path(name));
    return { value, etag };
  }

  /** @throws ApiError 400 with the field that is wrong, 409 */
  async create(created: { readonly name: string } & Partial<Written>): Promise<void> {
    await this.requests.request('POST', this.path(), created);
  }

  /**
   * Changes what is named: keys and devices that are not named stay, an empty value unsets a key.
   * etag: of the version that is meant. query: of the request, beside the project
   * @throws ApiError 400 with the field that is wrong, 404, 412
   */
  async patch(
    name: string,
    changed: Partial<Written>,
    etag?: string,
    query: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await this.#write('PATCH', name, changed, etag, query);
  }

  /** Replaces all that can be written; what is not given is empty from then on. @throws as patch does */
  async replace(name: string, written: Partial<Written>, etag?: string): Promise<void> {
    await this.#write('PUT', name, written, etag);
  }

  /**
   * Reads, changes and replaces; what change leaves out stays. When it was changed in between, all
   * of it is done again. @throws ApiError 400 with the field that is wrong, 404, 412 when it was outrun five times
   */
  async edit(name: string, change: (before: Shown) => Partial<Written>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const { value, etag } = await this.tagged(name);
      try {
        await this.replace(name, { ...this.#written(value), ...change(value) }, etag);
        return;
      } catch (error) {
        const outrun = error instanceof ApiError && error.status === preconditionFailed;
        if (!outrun || attempt === editAttempts) throw error;
      }
    }
  }

  /** @throws ApiError 400, 404, 409 */
  async rename(name: string, newName: string): Promise<void> {
    await this.requests.request('POST', this.path(name), { name: newName });
  }

  /** @throws ApiError 400 when it is in use or runs, 403 for what is always there, 404 */
  async delete(name: string): Promise<void> {
    await this.requests.request('DELETE', this.path(name));
  }

  protected path(name?: string, query: Readonly<Record<string, string | undefined>> = {}): string {
    const own = this.#inProject ? query : { project: undefined, ...query };
    return this.requests.path(this.#collection, name, own);
  }

  /** more: of the query */
  protected listPath(
    { filter, allProjects, etags }: ListQuery,
    recursion: number,
    more: Readonly<Record<string, string>> = {},
  ): string {
    const all = allProjects ? { 'all-projects': 'true', project: undefined } : {};
    const tags = etags ? 'true' : undefined;
    return this.path(undefined, { recursion: String(recursion), filter, etags: tags, ...more, ...all });
  }

  #written(value: Shown): Partial<Written> {
    const written: Partial<Written> = {};
    for (const field of this.#fields) written[field] = value[field];
    return written;
  }

  async #write(
    method: Method,
    name: string,
    body: object,
    etag: string | undefined,
    query: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await this.requests.request(method, this.path(name, query), body, etag === undefined ? {} : { 'if-match': etag });
  }
}

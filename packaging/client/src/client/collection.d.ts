import type { Requests } from './requests.js';
/** Which of them a list is about. */
export interface ListQuery {
    /** such as `status=Running and config.user.role=web`; docs/host-api.md */
    readonly filter?: string;
    /** of all projects, and not only of the client's */
    readonly allProjects?: boolean;
}
/** What is kept under names: instances, profiles, projects. */
export declare class Collection<Shown extends Written, Written extends object> {
    #private;
    protected readonly requests: Requests;
    /** fields: only ones that can be written */
    constructor(requests: Requests, collection: string, fields: readonly (keyof Written)[], inProject?: boolean);
    /** By name. @throws ApiError 400, when the filter cannot be read; 404, when there is no such project */
    list(query?: ListQuery): Promise<Shown[]>;
    /** The same, one by one as they come, however many there are: all of the moment at which they were asked for. */
    each(query?: ListQuery): AsyncGenerator<Shown, void, void>;
    /** The JSON of each. @throws as list does */
    lines(query?: ListQuery): AsyncGenerator<string, void, void>;
    /** @throws ApiError 404 */
    get(name: string): Promise<Shown>;
    /** The same, with the entity tag of this version. @throws ApiError 404 */
    tagged(name: string): Promise<{
        readonly value: Shown;
        readonly etag: string;
    }>;
    /** @throws ApiError 400 with the field that is wrong, 409 */
    create(created: {
        readonly name: string;
    } & Partial<Written>): Promise<void>;
    /**
     * Changes what is named: keys and devices that are not named stay, an empty value unsets a key.
     * etag: of the version that is meant. @throws ApiError 400 with the field that is wrong, 404, 412
     */
    patch(name: string, changed: Partial<Written>, etag?: string): Promise<void>;
    /** Replaces all that can be written; what is not given is empty from then on. @throws as patch does */
    replace(name: string, written: Partial<Written>, etag?: string): Promise<void>;
    /**
     * Reads, changes and replaces; what change leaves out stays. When it was changed in between, all
     * of it is done again. @throws ApiError 400 with the field that is wrong, 404, 412 when it was outrun five times
     */
    edit(name: string, change: (before: Shown) => Partial<Written>): Promise<void>;
    /** @throws ApiError 400, 404, 409 */
    rename(name: string, newName: string): Promise<void>;
    /** @throws ApiError 400 when it is in use or runs, 403 for what is always there, 404 */
    delete(name: string): Promise<void>;
    protected path(name?: string, query?: Readonly<Record<string, string | undefined>>): string;
    protected listPath({ filter, allProjects }: ListQuery, recursion: number): string;
}

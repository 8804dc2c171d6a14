import type { Instance, InstanceState, InstanceType, InstanceWithState, InstanceWritten } from '../api/types.js';
import { Collection, type ListQuery } from './collection.js';
import type { Requests } from './requests.js';
interface Created extends Partial<InstanceWritten> {
    readonly name: string;
    readonly type?: InstanceType;
}
/** /1.0/instances */
export declare class Instances extends Collection<Instance, InstanceWritten> {
    #private;
    constructor(requests: Requests);
    /** type: left out: a container. @throws ApiError 400 with the field that is wrong, 409 */
    create(created: Created): Promise<void>;
    /** list, with the state of each. */
    listWithState(query?: ListQuery): Promise<InstanceWithState[]>;
    /** The JSON of each of the same, as they come. @throws as list does */
    linesWithState(query?: ListQuery): AsyncGenerator<string, void, void>;
    /** get, with its state. @throws ApiError 404 */
    getWithState(name: string): Promise<InstanceWithState>;
    /** @throws ApiError 404 */
    state(name: string): Promise<InstanceState>;
    /**
     * It runs: from here on its guests are answered.
     * @param pid of its init, or of the process that connects for a virtual machine, as the host sees it
     * @param cid of a virtual machine: its context id, vsock(7)
     * @throws ApiError 400, when it runs already or the process is no init of a pid namespace; 404
     */
    start(name: string, pid: number, cid?: number): Promise<void>;
    /** It runs no longer; its processes are not touched. @throws ApiError 400, when it is stopped already; 404 */
    stop(name: string): Promise<void>;
}
export {};

import type { Operation } from '../api/types.js';
import { type Requests } from './requests.js';
/** /1.0/operations: operations that run, or ended less than a minute ago. */
export declare class OperationList {
    #private;
    constructor(requests: Requests);
    list(): Promise<Operation[]>;
    /** @throws ApiError 404 */
    get(id: string): Promise<Operation>;
    /** Waits until it has ended. @throws ApiError 404; 400 with its own sentence, when it has failed */
    wait(id: string): Promise<Operation>;
}

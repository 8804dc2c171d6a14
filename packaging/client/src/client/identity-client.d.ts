import type { IdentityInfo, IdentityKeySet, IdentityRotation } from '../api/types.js';
import { type Requests } from './requests.js';
/** What verifies the identity documents of a host's instances; docs/identity.md. */
export declare class IdentityClient {
    #private;
    constructor(requests: Requests);
    /** The issuer of the documents, and the life of each in seconds. */
    info(): Promise<IdentityInfo>;
    /** The JWK set (RFC 7517) that verifies them: the keys that sign, have signed and will sign. */
    keys(): Promise<IdentityKeySet>;
    /** Lets the next key sign: at once, or when it has been published for one life of a document. */
    rotate(): Promise<IdentityRotation>;
}

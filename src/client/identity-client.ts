import type { IdentityInfo, IdentityKeySet, IdentityRotation } from '../api/types.js';
import { envelopeOf, type Requests } from './requests.js';

/** What verifies the identity documents of a host's instances; docs/identity.md. */
export class IdentityClient {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** The issuer of the documents, and the life of each in seconds. */
  async info(): Promise<IdentityInfo> {
    return (await this.#requests.request('GET', '/1.0/identity')) as IdentityInfo;
  }

  /** The JWK set (RFC 7517) that verifies them: the keys that sign, have signed and will sign. */
  async keys(): Promise<IdentityKeySet> {
    const answer = await this.#requests.connection.ask({ method: 'GET', path: '/1.0/identity/keys' });
    if (answer.status !== 200) envelopeOf(answer);
    return JSON.parse(answer.text) as IdentityKeySet;
  }

  /** Lets the next key sign: at once, or when it has been published for one life of a document. */
  async rotate(): Promise<IdentityRotation> {
    return (await this.#requests.request('POST', '/1.0/identity/rotate')) as IdentityRotation;
  }
}

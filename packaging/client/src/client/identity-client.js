import { envelopeOf } from './requests.js';
/** What verifies the identity documents of a host's instances; docs/identity.md. */
export class IdentityClient {
    #requests;
    constructor(requests) {
        this.#requests = requests;
    }
    /** The issuer of the documents, and the life of each in seconds. */
    async info() {
        return (await this.#requests.request('GET', '/1.0/identity'));
    }
    /** The JWK set (RFC 7517) that verifies them: the keys that sign, have signed and will sign. */
    async keys() {
        const answer = await this.#requests.connection.ask({ method: 'GET', path: '/1.0/identity/keys' });
        if (answer.status !== 200)
            envelopeOf(answer);
        return JSON.parse(answer.text);
    }
    /** Lets the next key sign: at once, or when it has been published for one life of a document. */
    async rotate() {
        return (await this.#requests.request('POST', '/1.0/identity/rotate'));
    }
}
//# sourceMappingURL=identity-client.js.map
import type { IdentityIssuer } from '../identity/identity-issuer.js';
import type { IdentityKeys } from '../identity/identity-keys.js';
import { type ControlHandler, sync } from './control-reply.js';

/** What verifiers of identity documents need, and the rotation of the keys; docs/identity.md. */
export class IdentityHandlers {
  readonly #keys: IdentityKeys;
  readonly #issuer: IdentityIssuer;

  constructor(keys: IdentityKeys, issuer: IdentityIssuer) {
    this.#keys = keys;
    this.#issuer = issuer;
  }

  readonly get: ControlHandler = () => sync({ issuer: this.#issuer.issuer, seconds: this.#issuer.seconds });

  /** The JWK set itself, without LXD's envelope: it is what verifiers read. */
  readonly keys: ControlHandler = () => ({
    kind: 'text',
    type: 'application/jwk-set+json',
    text: `${JSON.stringify(this.#keys.published(), null, 2)}\n`,
  });

  readonly rotate: ControlHandler = async () => {
    const { kid, signsFrom } = await this.#keys.rotate(this.#issuer.seconds);
    return sync({ kid, signs_from: new Date(signsFrom).toISOString() });
  };
}

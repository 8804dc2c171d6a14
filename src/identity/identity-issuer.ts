import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { SignJWT } from 'jose';
import { SharedTurns } from '../concurrency/shared-turns.js';
import { expandedConfig, type Instance } from '../model/instance.js';
import type { IdentityKeys } from './identity-keys.js';

/** What is said of the host in each document. */
export interface IdentitySettings {
  /** `iss`; '': devlxd://HOSTNAME */
  readonly issuer: string;
  /** SPIFFE trust domain; '': none, and `sub` is PROJECT/UUID */
  readonly trustDomain: string;
  /** life of a document */
  readonly seconds: number;
}

/** What the guest has asked for. */
export interface IdentityRequest {
  readonly audience: string;
  /** undefined: none */
  readonly nonce: string | undefined;
}

/** Longest audience and nonce, in bytes of UTF-8. */
export const longestAudience = 512;
export const longestNonce = 128;

/** Documents that are signed at the same time: they share a pool of four threads with files that are read and sent. */
const mostSignings = 2;

/** The name of the host in documents. */
export const identityHost = hostname();

/** Signs documents that say which instance a guest is: JWTs (RFC 7519), and JWT-SVIDs where there is a trust domain. */
export class IdentityIssuer {
  readonly #keys: IdentityKeys;
  readonly #signings = new SharedTurns(mostSignings);
  readonly #settings: () => IdentitySettings;

  /** settings: as they are now; they may change while the daemon runs */
  constructor(keys: IdentityKeys, settings: () => IdentitySettings) {
    this.#keys = keys;
    this.#settings = settings;
  }

  get issuer(): string {
    return this.#settings().issuer || `devlxd://${identityHost}`;
  }

  get seconds(): number {
    return this.#settings().seconds;
  }

  /** A document for this instance, in the compact form; it is signed on Node's thread pool, in the instance's turn. */
  issue(instance: Instance, request: IdentityRequest): Promise<string> {
    return this.#signings.take(instance.id, () => this.#sign(instance, request));
  }

  async #sign(instance: Instance, { audience, nonce }: IdentityRequest): Promise<string> {
    const { kid, key } = await this.#keys.signer();
    const now = Math.floor(Date.now() / 1000);
    const claims = { ...(nonce === undefined ? {} : { nonce }), devlxd: claimsOf(instance) };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
      .setIssuer(this.issuer)
      .setSubject(subjectOf(instance, this.#settings().trustDomain))
      .setAudience(audience)
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + this.seconds)
      .setJti(randomUUID())
      .sign(key);
  }
}

function claimsOf(instance: Instance): object {
  const config = expandedConfig(instance);
  return {
    host: identityHost,
    project: instance.project,
    name: instance.name,
    type: instance.type,
    instance_id: config.get('volatile.cloud-init.instance-id') ?? '',
    uuid: config.get('volatile.uuid') ?? '',
  };
}

/** Stable over a rename without a trust domain; a SPIFFE ID (SPIFFE-ID, section 2) with one. */
function subjectOf(instance: Instance, trustDomain: string): string {
  const { project, name } = instance;
  if (trustDomain !== '') return `spiffe://${trustDomain}/host/${identityHost}/project/${project}/instance/${name}`;
  return `${project}/${expandedConfig(instance).get('volatile.uuid') ?? ''}`;
}

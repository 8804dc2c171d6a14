import { createPublicKey } from 'node:crypto';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, exportPKCS8, generateKeyPair, importPKCS8 } from 'jose';
import { Fault } from '../errors.js';
import type { IdentityKey, PublicKey } from '../model/identity-key.js';
import { expiredKeys, nextKey, publishedKeys, rotationTime, signingKey } from './key-schedule.js';

/** Where the keys are stored; writing is durable when it is done, and all or nothing. */
export interface KeyStore {
  loadIdentityKeys(): Promise<IdentityKey[]>;
  /** @throws Fault store-full or store-failed */
  writeIdentityKeys(put: readonly IdentityKey[], removed: readonly string[]): Promise<void>;
}

/** A key that is ready to sign. */
export interface Signer {
  readonly kid: string;
  readonly key: CryptoKey;
}

/** What a rotation has come to. */
export interface Rotation {
  readonly kid: string;
  /** milliseconds since 1970 */
  readonly signsFrom: number;
}

const alg = 'ES256';

/** The longest life that a document may have had under an earlier configuration: a day, as the option allows. */
const longestLifeMilliseconds = 86_400_000;

/** The keys of this host: made at the first start, stored with everything else, rotated by the operator. */
export class IdentityKeys {
  readonly #store: KeyStore;
  readonly #now: () => number;
  #keys: readonly IdentityKey[] = [];
  readonly #signers = new Map<string, Promise<Signer>>();
  readonly #public = new Map<string, PublicKey>();
  /** rotations come one after the other */
  #rotating: Promise<unknown> = Promise.resolve();

  constructor(store: KeyStore, now: () => number = Date.now) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * Reads the keys, and makes any that is missing.
   * @throws Fault store-damaged, store-full or store-failed
   */
  async load(): Promise<void> {
    this.#keys = await this.#store.loadIdentityKeys();
    const now = this.#now();
    const made: IdentityKey[] = [];
    if (signingKey(this.#keys, now) === undefined) made.push(await newKey(now, now));
    if (nextKey(this.#keys, now) === undefined) made.push(await newKey(now));
    if (made.length > 0) await this.#write(made);
  }

  /** The key that signs now. */
  signer(): Promise<Signer> {
    const key = signingKey(this.#keys, this.#now());
    if (key === undefined) throw new Fault('store-damaged', 'There is no key that signs identity documents.');
    const known = this.#signers.get(key.kid);
    if (known !== undefined) return known;
    const signer = importPKCS8(key.privateKey, alg).then((imported) => ({ kid: key.kid, key: imported }));
    this.#signers.set(key.kid, signer);
    return signer;
  }

  /** The JWK set for verifiers (RFC 7517, section 5). */
  published(): { readonly keys: readonly PublicKey[] } {
    const keys = publishedKeys(this.#keys, this.#now(), longestLifeMilliseconds);
    return { keys: keys.map((key) => this.#publicKey(key)) };
  }

  /**
   * Lets the next key sign: at once, or when it has been published for one life. A rotation that is still to come is
   * returned as it is. leadSeconds: life of a document
   * @throws Fault store-full or store-failed; nothing has changed then
   */
  rotate(leadSeconds: number): Promise<Rotation> {
    const rotation = this.#rotating.then(() => this.#rotate(leadSeconds * 1000));
    this.#rotating = rotation.catch(() => undefined);
    return rotation;
  }

  async #rotate(lead: number): Promise<Rotation> {
    const now = this.#now();
    const next = nextKey(this.#keys, now) ?? (await newKey(now));
    if (next.signsFrom !== undefined) return { kid: next.kid, signsFrom: next.signsFrom };
    const signsFrom = rotationTime(next, now, lead);
    await this.#write([{ ...next, signsFrom }, await newKey(now)]);
    return { kid: next.kid, signsFrom };
  }

  async #write(put: readonly IdentityKey[]): Promise<void> {
    const kept = this.#keys.filter(({ kid }) => put.every((key) => key.kid !== kid)).concat(put);
    const expired = new Set(expiredKeys(kept, this.#now(), longestLifeMilliseconds).map(({ kid }) => kid));
    await this.#store.writeIdentityKeys(put, [...expired]);
    this.#keys = kept.filter(({ kid }) => !expired.has(kid));
    for (const kid of expired) {
      this.#signers.delete(kid);
      this.#public.delete(kid);
    }
  }

  #publicKey({ kid, privateKey }: IdentityKey): PublicKey {
    const known = this.#public.get(kid);
    if (known !== undefined) return known;
    const { x = '', y = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
    const made: PublicKey = { kty: 'EC', crv: 'P-256', x, y, kid, alg, use: 'sig' };
    this.#public.set(kid, made);
    return made;
  }
}

async function newKey(createdAt: number, signsFrom?: number): Promise<IdentityKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
  return { kid, privateKey: await exportPKCS8(privateKey), createdAt, signsFrom };
}

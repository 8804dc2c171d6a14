/** A key that signs identity documents, as it is stored. P-256. */
export interface IdentityKey {
  /** RFC 7638 thumbprint of its public part */
  readonly kid: string;
  /** PKCS #8, PEM */
  readonly privateKey: string;
  /** when it was made and first published, milliseconds since 1970 */
  readonly createdAt: number;
  /** from when on it signs, milliseconds since 1970; undefined: not before it is its turn */
  readonly signsFrom: number | undefined;
}

/** The public part of a key, as a JWK (RFC 7517) that verifiers read. */
export interface PublicKey {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly alg: 'ES256';
  readonly use: 'sig';
}

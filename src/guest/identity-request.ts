import { type IdentityRequest, longestAudience, longestNonce } from '../identity/identity-issuer.js';

const example = 'GET /1.0/identity?audience=https://service.example';

/** The query of a request for an identity document; a sentence when it cannot be understood. */
export function identityRequestIn(query: string): IdentityRequest | string {
  const parameters = new URLSearchParams(query);
  for (const name of ['audience', 'nonce']) {
    if (parameters.getAll(name).length > 1) return `${name} is given twice`;
  }
  const audience = parameters.get('audience') ?? '';
  const nonce = parameters.get('nonce') ?? undefined;
  if (audience === '') return `audience is missing: name the service that the document is for, as in ${example}`;
  return problemWith('audience', audience, longestAudience) ?? nonceProblem(nonce) ?? { audience, nonce };
}

function nonceProblem(nonce: string | undefined): string | undefined {
  if (nonce === undefined) return undefined;
  return nonce === '' ? 'nonce is empty' : problemWith('nonce', nonce, longestNonce);
}

function problemWith(name: string, value: string, most: number): string | undefined {
  if (Buffer.byteLength(value) > most) return `${name} is longer than ${most} bytes`;
  // U+FFFD stands for bytes that are not UTF-8.
  return /[\p{Cc}\uFFFD]/u.test(value) ? `${name} has a control character, or is not UTF-8` : undefined;
}

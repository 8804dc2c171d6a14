import { createLocalJWKSet, jwtVerify } from 'jose';
import type { TestDaemon } from './daemon.js';
import type { Guest } from './guest-processes.js';
import { type Answer, ask } from './http.js';

export const audience = 'https://vault.example';
export const path = `/1.0/identity?audience=${encodeURIComponent(audience)}`;

/** What a guest is answered when it asks for a document. */
export const documentOf = (of: TestDaemon, from: Guest, asked = path): Promise<Answer> =>
  ask(from.connect(of.socket), asked);

/** What a document says, once it is verified with the keys that the daemon publishes. */
export const verified = async (document: string, of: TestDaemon, wanted = audience) =>
  jwtVerify(document, createLocalJWKSet({ keys: [...(await of.client.identity.keys()).keys] }), {
    audience: wanted,
    issuer: (await of.client.identity.info()).issuer,
    algorithms: ['ES256'],
  });

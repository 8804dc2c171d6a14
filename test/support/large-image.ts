import type { TestDaemon } from './daemon.js';
import { Operator } from './host.js';

/** Imports an image that no socket's buffers hold; gives its path for guests. */
export async function largeImage(daemon: TestDaemon): Promise<string> {
  const headers = { 'X-LXD-public': 'true', 'content-type': 'application/octet-stream' };
  const { metadata } = await new Operator(() => daemon).metadata<{ metadata: { fingerprint: string } }>(
    'POST',
    '/1.0/images',
    'image'.repeat(1_000_000),
    headers,
  );
  return `/1.0/images/${metadata.fingerprint}/export`;
}

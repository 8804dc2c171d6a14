import type { TemplatedApp, us_listen_socket } from 'uWebSockets.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bridgeBroken, type Gate } from './gate.js';

/** An app that only the gate feeds: it listens nowhere. */
export type GuestApp = TemplatedApp;

const require = createRequire(import.meta.url);

// The builds for Node 22 and newer refuse each head that is longer than this, 4 KB by default. The gate has a bound of
// its own (kLongestHead, 128 KB); uWebSockets reads its bound while it is loaded.
const headBound = 'UWS_HTTP_MAX_HEADERS_SIZE';
process.env[headBound] = String(256 * 1024);
const uWS: typeof import('uWebSockets.js') = require('uWebSockets.js');
delete process.env[headBound];

/** The binary that uWebSockets.js has loaded. */
const binary = Object.keys(require.cache).find((file) => /uws_[^/]*\.node$/.test(file));

/**
 * Builds an app and attaches the gate to it. uWebSockets gives a handle on an app only when the app
 * listens, so it does for a moment, on a path that no other process can reach.
 * @throws Fault bridge-broken
 */
export async function createApp(gate: Gate, build: (app: TemplatedApp) => TemplatedApp): Promise<GuestApp> {
  if (binary === undefined) throw bridgeBroken('finding the binary of uWebSockets.js');
  const app = build(uWS.App());
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-')); // 0700
  try {
    const token = await new Promise<us_listen_socket>((resolve) => app.listen_unix(resolve, join(directory, 'token')));
    if (!token) throw bridgeBroken('listen_unix');
    try {
      gate.attach(token, binary);
    } finally {
      uWS.us_listen_socket_close(token);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  return app;
}

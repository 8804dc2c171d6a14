// Plain uWebSockets.js: what devlxd is built on, without anything that devlxd does.
// node uws.js SOCKET BODY
import uWS from 'uWebSockets.js';
import { chmodSync } from 'node:fs';
import { endWithStandardInput, ready } from './standard-input.js';

const [socket, body] = process.argv.slice(2);
if (socket === undefined || body === undefined) throw new Error('usage: uws.js SOCKET BODY');

uWS
  .App()
  .ws('/1.0/events', { idleTimeout: 0, sendPingsAutomatically: false })
  .get('/1.0', (response) => {
    response.writeHeader('Content-Type', 'application/json').end(body);
  })
  .any('/*', (response) => {
    response.writeStatus('404 Not Found').end();
  })
  .listen_unix((token) => {
    if (!token) throw new Error(`cannot listen on ${socket}`);
    chmodSync(socket, 0o666); // uSockets makes it 0700, and guests have other uids
    ready();
  }, socket);
endWithStandardInput();

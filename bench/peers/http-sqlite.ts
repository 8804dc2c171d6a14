// What a durable change costs by node:http and SQLite alone, on one thread: each request writes its rows, those that come
// in one turn of the event loop in one commit, and is answered as devlxd does. No guest could be answered meanwhile.
// node http-sqlite.js SOCKET FILE INSTANCES
import { createServer, type ServerResponse } from 'node:http';
import { ChangeRows } from './change-rows.js';
import { endWithStandardInput, ready } from './standard-input.js';

const [socket, file, count] = process.argv.slice(2);
if (socket === undefined || file === undefined) throw new Error('usage: http-sqlite.js SOCKET FILE INSTANCES');

const rows = new ChangeRows(file, Number(count));
const waiting: { readonly id: number; readonly response: ServerResponse }[] = [];
const status = { type: 'sync', status: 'Success', status_code: 200, operation: '', error_code: 0, error: '' };

createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    JSON.parse(Buffer.concat(chunks).toString('utf8'));
    const id = Number(/\d+$/.exec(request.url ?? '')?.[0]);
    if (waiting.push({ id, response }) === 1) setImmediate(commit);
  });
}).listen(socket, ready);
endWithStandardInput();

function commit(): void {
  const taken = waiting.splice(0);
  rows.commit(taken.map(({ id }) => id));
  for (const { response } of taken) {
    const text = `${JSON.stringify({ ...status, metadata: {} })}\n`;
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
    response.end(text);
  }
}

// node:http: what devlxd would be without uWebSockets. It answers with as many bytes as the others do.
// node http.js SOCKET BODY HEADERS, the last a JSON array of [name, value] pairs that are not Node's own
import { createServer } from 'node:http';
import { endWithStandardInput, ready } from './standard-input.js';

const [socket, body, headers] = process.argv.slice(2);
if (socket === undefined || body === undefined || headers === undefined) {
  throw new Error('usage: http.js SOCKET BODY HEADERS');
}
const fixed = JSON.parse(headers) as [string, string][];

process.umask(0); // guests have other uids
createServer((request, response) => {
  response.removeHeader('connection'); // and with it keep-alive: uWebSockets says neither
  if (request.url !== '/1.0') {
    response.writeHead(404).end();
    return;
  }
  for (const [name, value] of fixed) response.setHeader(name, value);
  response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(body);
}).listen(socket, 4096, ready);
endWithStandardInput();

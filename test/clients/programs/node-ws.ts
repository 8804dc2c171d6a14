// Node's ws as a guest's listener; its usage is in ../client.ts.
import WebSocket from 'ws';

const [, socketPath, count] = process.argv.slice(2);
const socket = new WebSocket(`ws+unix:${socketPath}:/1.0/events`);
let heard = 0;
socket.on('message', (data) => {
  process.stdout.write(`${data}\n`);
  if (++heard === Number(count)) socket.close();
});

// Runs a command in a machine of test/vm, as its own: in-machine.js SOCKET PORT COMMAND...
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

const [path = '', port, ...words] = process.argv.slice(2);
const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
const socket = connect(path);
socket.write(`CONNECT ${port}\n`);
socket.once('data', () => socket.write(`run ${quoted}; echo; echo $?\n`));
const lines = (await text(socket)).trimEnd().split('\n');
const code = Number(lines.pop());
process.stdout.write(lines.filter((line) => !line.startsWith('OK ')).join('\n'));
process.exit(code);

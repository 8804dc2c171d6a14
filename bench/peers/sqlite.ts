// What a durable write costs without devlxd: its rows, its settings, nothing else.
// node sqlite.js FILE ROWS SECONDS; each byte on standard input is answered with a line: how many rows were written
import { ChangeRows } from './change-rows.js';
import { ready } from './standard-input.js';

const [file, count, seconds] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: sqlite.js FILE ROWS SECONDS');

const rows = new ChangeRows(file, Number(count));
const ids = Array.from({ length: Number(count) }, (_, index) => index + 1);

process.stdin.on('data', measure);
ready();

function measure(): void {
  const before = rows.written;
  const began = performance.now();
  const end = began + Number(seconds) * 1000;
  while (performance.now() < end) rows.commit(ids);
  process.stdout.write(`${((rows.written - before) / (performance.now() - began)) * 1000}\n`);
}

// What a durable write costs without devlxd: its rows, its settings, nothing else.
// node sqlite.js FILE ROWS SECONDS; each byte on standard input is answered with a line: how many rows were written
import { migrations } from '../../src/store/schema.js';
import { Database } from '../../src/store/sqlite.js';
import { ready } from './standard-input.js';

const [file, rows, seconds] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: sqlite.js FILE ROWS SECONDS');

const database = new Database(file);
for (const setting of ['locking_mode = EXCLUSIVE', 'journal_mode = WAL', 'synchronous = FULL', 'foreign_keys = ON'])
  database.exec(`PRAGMA ${setting}`);
for (const step of migrations) database.exec(step);
const addInstance = database.prepare(
  `INSERT INTO instances (project, name, created_at, guest_state) VALUES ('default', ?, '', 'Started')`,
);
for (let row = 1; row <= Number(rows); row++) addInstance.run(`c${row}`);
const setValue = database.prepare(`INSERT OR REPLACE INTO config VALUES (?, 'user.n', ?)`);
const addEvent = database.prepare(`INSERT INTO events VALUES (?, ?, 'config', ?)`);
let written = 0;
const commit = (count: number): void => {
  for (let row = 1; row <= count; row++) {
    const value = String(++written).padStart(8, '0');
    setValue.run(row, value);
    addEvent.run(row, value.padStart(30, '0'), eventOf(value));
  }
};

process.stdin.on('data', measure);
ready();

function measure(): void {
  const before = written;
  const began = performance.now();
  const end = began + Number(seconds) * 1000;
  while (performance.now() < end) database.transaction(() => commit(Number(rows)));
  process.stdout.write(`${((written - before) / (performance.now() - began)) * 1000}\n`);
}

function eventOf(value: string): string {
  const metadata = { key: 'user.n', old_value: value, value };
  return JSON.stringify({ type: 'config', timestamp: '2026-11-23T21:55:00.123456789Z', metadata });
}

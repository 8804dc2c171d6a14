import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PartedCommit } from '../../src/store/parted-commit.js';
import { migrations } from '../../src/store/schema.js';
import { Database } from '../../src/store/sqlite.js';
import { StatementList, Writer } from '../../src/store/writer.js';

/** What is kept of an instance, and what may wait to be trimmed. */
const most = 256 + 64;

test('old events are trimmed however many transactions are given up in between', () => {
  const database = new Database(':memory:');
  for (const step of migrations) database.exec(step);
  database.exec(
    "INSERT INTO instances (id, project, name, created_at, guest_state) VALUES (1, '', 'c1', '', 'Started')",
  );
  const writer = new Writer(database);
  let made = 0;
  const events = (count: number): string => {
    const list = new StatementList();
    for (let n = 0; n < count; n++) list.add('putEvent', 1, String(++made).padStart(30, '0'), 'config', '{}');
    return list.take();
  };
  for (let round = 0; round < 2 * most; round++) {
    const givenUp = new PartedCommit(database, writer, undefined);
    givenUp.add(events(63)); // so that the event that has them trimmed is always one of these
    givenUp.giveUp();
    new PartedCommit(database, writer, undefined).end(events(1));
  }
  const kept = Number(database.value('SELECT count(*) FROM events'));
  assert.ok(kept >= 256 && kept <= most, `${kept}`);
});

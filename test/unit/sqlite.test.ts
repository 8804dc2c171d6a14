import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Database } from '../../src/store/sqlite.js';

test('what was written is read, whatever is in a text, in its order', () => {
  const database = new Database(':memory:');
  database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, number INTEGER) STRICT');
  const texts = ['', '\0', 'a\0b', '\0\0', 'ü\0€ 😀', '"\\\n\u2028', '\ufeff', 'x'.repeat(100_000), null];
  const rows = texts.map((text, index) => [texts.length - index, text, index === 0 ? null : 2 ** 53 - index]);
  const put = database.prepare('INSERT INTO t (id, text, number) VALUES (?, ?, ?)');
  for (const row of rows) put.run(...row);
  assert.deepEqual(database.prepare('SELECT id, text, number FROM t WHERE id > ? ORDER BY id DESC').all(0), rows);
  assert.deepEqual(database.prepare('SELECT text FROM t WHERE text = ?').get('a\0b'), ['a\0b']);
  assert.equal(database.prepare('SELECT text FROM t WHERE id = ?').get(100), undefined);
  database.close();
});

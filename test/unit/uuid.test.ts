import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomUuid } from '../../src/text/uuid.js';

test('each is a UUID of version 4, and another one', () => {
  const made = Array.from({ length: 1000 }, randomUuid);
  for (const uuid of made) assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(made).size, made.length);
  for (const at of [0, 9, 15, 21, 35]) assert.equal(new Set(made.map((uuid) => uuid[at])).size, 16, `digit ${at}`);
});

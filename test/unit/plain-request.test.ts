import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainRequestIn } from '../../src/control/plain-request.js';
import { patch, request, requests } from '../support/control-requests.js';

test('a plain request is read in one look', () => {
  const read = plainRequestIn(Buffer.from(patch));
  assert.deepEqual([read?.method, read?.url], ['PATCH', '/1.0/instances/c2']);
  assert.deepEqual(read?.headers, { host: 'x', 'content-length': '26' });
  assert.equal(read?.body.toString(), '{"config":{"user.b":"é"}}');
  const get = plainRequestIn(Buffer.from(request({ headers: ['Connection: Keep-Alive', 'X-A: \t a b \t'] })));
  assert.deepEqual(get?.headers, { host: 'x', connection: 'Keep-Alive', 'x-a': 'a b' });
  assert.equal(get?.body.length, 0);
});

test('no part of one is taken for a request, and nothing that comes with more', () => {
  const bytes = Buffer.from(patch);
  for (let length = 0; length < bytes.length; length++)
    assert.equal(plainRequestIn(bytes.subarray(0, length)), undefined);
  for (const more of ['\r\n', '\0', patch]) assert.equal(plainRequestIn(Buffer.from(patch + more)), undefined);
});

test('what needs more than one look is left to node:http', () => {
  const left = requests.filter((bytes) => plainRequestIn(bytes) === undefined).map((bytes) => bytes.toString('latin1'));
  const isLeft = (part: string) => left.some((text) => text.includes(part));
  for (const part of [
    'HEAD',
    'CONNECT',
    'get',
    'Expect',
    'Upgrade',
    'chunked',
    'close',
    '1.0\r',
    'x\r\nHost',
    '+0',
    '00\r',
  ])
    assert.ok(isLeft(part), part);
});

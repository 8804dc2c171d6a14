import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { endpoints } from '../src/guest/guest-endpoints.js';
import { checkAnswer, checkSchema, description } from './support/contract.js';

test('docs/guest-api.yaml is OpenAPI 3.1', async () => {
  const result = await new Validator().validate(structuredClone(description) as unknown as Record<string, unknown>);
  assert.deepEqual(result.errors ?? [], []);
  assert.equal(result.valid, true);
});

test('it has exactly the paths and methods of the endpoint table', () => {
  const described = Object.entries(description.paths).map(([path, item]) => [path, Object.keys(item).sort()]);
  const served = endpoints.map(({ path, methods }) => [
    path,
    Object.keys(methods)
      .map((name) => name.toLowerCase())
      .sort(),
  ]);
  assert.deepEqual(described, served);
});

test('an answer that it does not allow is found out', () => {
  const answer = (status: number, type: string, body: string) => ({ status, headers: { 'content-type': type }, body });
  const json = 'application/json';
  checkAnswer('GET', '/', answer(200, json, '["/1.0"]\n'));
  assert.throws(() => checkAnswer('GET', '/', answer(200, json, '["/2.0"]\n')), /must be equal to constant/);
  assert.throws(() => checkAnswer('GET', '/', answer(200, 'text/plain', '["/1.0"]\n')), /text\/plain is not described/);
  assert.throws(() => checkAnswer('GET', '/', answer(418, json, '')), /418 is not described/);
  assert.throws(() => checkAnswer('PUT', '/', answer(200, json, '')), /PUT \/ is not described/);
  assert.throws(() => checkSchema('Event', { type: 'config' }), /must have required property/);
});

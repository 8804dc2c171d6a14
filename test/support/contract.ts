import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { packageRoot } from '../../src/package-root.js';
import type { Answer } from './http.js';

interface Response {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, { readonly schema: { readonly type?: string } }>>;
}

interface Operation {
  readonly responses: Readonly<Record<string, Response>>;
}

export interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, Response>> };
}

export const description = parse(readFileSync(join(packageRoot, 'docs/guest-api.yaml'), 'utf8')) as Description;

const schemas = new Ajv2020({ strict: false, validateSchema: false, allErrors: true });
schemas.addSchema(description as object, 'api');

/** Is this an answer that docs/guest-api.yaml allows for the path of the description? HEAD is GET without the body. */
export function checkAnswer(method: string, path: string, { status, headers, body }: Answer): void {
  const operation = description.paths[path]?.[(method === 'HEAD' ? 'GET' : method).toLowerCase()];
  assert.ok(operation, `${method} ${path} is not described`);
  const response = resolved(operation.responses[status]);
  assert.ok(response, `${method} ${path}: ${status} is not described`);
  const type = String(headers['content-type']);
  const name = type.startsWith('multipart/') ? 'multipart/form-data' : type;
  const content = response.content?.[name];
  assert.ok(content, `${method} ${path}: ${status} with ${type} is not described`);
  if (method === 'HEAD') return;
  const pointer = [...pointerOf(operation, path, method, status), 'content', name, 'schema'];
  checkValue(pointer, name === 'application/json' && content.schema.type !== 'string' ? JSON.parse(body) : body);
}

/** Is this a value of the schema of that name? */
export function checkSchema(name: string, value: unknown): void {
  checkValue(['components', 'schemas', name], value);
}

function resolved(response: Response | undefined): Response | undefined {
  const name = response?.$ref?.split('/').at(-1);
  return name === undefined ? response : description.components.responses[name];
}

function pointerOf({ responses }: Operation, path: string, method: string, status: number): string[] {
  const name = responses[status]?.$ref?.split('/').at(-1);
  if (name !== undefined) return ['components', 'responses', name];
  return ['paths', path, method.toLowerCase(), 'responses', String(status)];
}

function checkValue(pointer: readonly string[], value: unknown): void {
  const escaped = pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')));
  const validate = schemas.getSchema(`api#/${escaped.join('/')}`) as ValidateFunction | undefined;
  assert.ok(validate, `no schema at ${pointer.join(' / ')}`);
  assert.ok(validate(value), `${pointer.join(' / ')}: ${schemas.errorsText(validate.errors)}`);
}

import type * as v from 'valibot';
import { isLostName } from '../text/lost-names.js';
import { batchLine, instancePost, instancePut, parseBody } from './request-body.js';

// Nearly all bodies of instances, and lines of batches, are what this finds to be right. valibot, which has a sentence for
// everything that is wrong, costs ten times as much, so it is asked about the rest.

type Fields = Readonly<Record<string, unknown>>;

export type InstancePost = v.InferOutput<typeof instancePost>;
export type InstancePut = v.InferOutput<typeof instancePut>;
type BatchLine = v.InferOutput<typeof batchLine>;

/** @throws Fault invalid-value, naming the first field that is wrong */
export function instancePostIn(body: unknown): InstancePost {
  return isUsualPost(body) ? body : parseBody(instancePost, body);
}

/** @throws Fault invalid-value, naming the first field that is wrong */
export function instancePutIn(body: unknown): InstancePut {
  return isUsualPut(body) ? body : parseBody(instancePut, body);
}

/** @throws Fault invalid-value, naming the first field that is wrong */
export function batchLineIn(line: unknown): BatchLine {
  return isUsualLine(line) ? line : parseBody(batchLine, line);
}

function isUsualPost(body: unknown): body is InstancePost {
  if (!isObject(body) || typeof body['name'] !== 'string') return false;
  for (const field in body) if (field !== 'name' && !isUsualField(field, body[field])) return false;
  return true;
}

function isUsualPut(body: unknown): body is InstancePut {
  if (!isObject(body)) return false;
  for (const field in body) if (!isUsualField(field, body[field])) return false;
  return true;
}

function isUsualField(field: string, value: unknown): boolean {
  if (field === 'config') return isTexts(value);
  if (field === 'devices') return isObject(value) && areDevices(value);
  if (field === 'profiles') return Array.isArray(value) && value.every(isText);
  return field === 'description' && isText(value);
}

/** What is in its body is looked at when it is known what it is of. */
function isUsualLine(line: unknown): line is BatchLine {
  if (!isObject(line)) return false;
  const { method, path } = line;
  if (method !== 'POST' && method !== 'PUT' && method !== 'PATCH') return false;
  if (typeof path !== 'string' || !path.startsWith('/1.0/')) return false;
  for (const field in line) {
    if (field === 'method' || field === 'path' || field === 'body') continue;
    if (field !== 'etag' || !isText(line[field])) return false;
  }
  return true;
}

function areDevices(devices: Fields): boolean {
  for (const name in devices) if (isLostName(name) || !isTexts(devices[name])) return false;
  return true;
}

function isTexts(value: unknown): boolean {
  if (!isObject(value)) return false;
  for (const key in value) if (!isText(value[key]) || isLostName(key)) return false;
  return true;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

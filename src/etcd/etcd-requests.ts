import * as grpc from '@grpc/grpc-js';
import type { Condition, Operation } from './etcd-messages.js';

// What is said to etcd, in its own words.

export function requestOf(operation: Operation): object {
  if ('remove' in operation) return { request_delete_range: { key: Buffer.from(operation.remove) } };
  const { put, value, lease = '0' } = operation;
  return { request_put: { key: Buffer.from(put), value: Buffer.from(value), lease } };
}

export function compareOf(condition: Condition): object {
  if ('exists' in condition) {
    return { key: Buffer.from(condition.exists), result: 'GREATER', target: 'CREATE', create_revision: '0' };
  }
  if ('quiet' in condition) {
    const range = { key: Buffer.from(condition.quiet), range_end: endOf(condition.quiet) };
    return { ...range, result: 'LESS', target: 'MOD', mod_revision: String(BigInt(condition.since) + 1n) };
  }
  const { key, revision } = condition;
  const target = revision === '0' ? 'CREATE' : 'MOD';
  return {
    key: Buffer.from(key),
    target,
    ...(revision === '0' ? { create_revision: '0' } : { mod_revision: revision }),
  };
}

export function unlessThere(error: Error): void {
  if (!/already exists/.test(error.message)) throw error;
}

export function isTooLarge(error: unknown): boolean {
  return (error as Partial<grpc.ServiceError>).code === grpc.status.RESOURCE_EXHAUSTED;
}

/** The first key after all that begin with a prefix, which ends with a slash. */
export function endOf(prefix: string | Buffer): Buffer {
  const end = Buffer.from(prefix as string);
  end[end.length - 1] = (end.at(-1) as number) + 1;
  return end;
}

import { Fault } from '../errors.js';
import type { Instance, InstanceType } from '../model/instance.js';
import type { Transaction } from './registry.js';

/** Until the start is stored, an instance of another type may have come under the name. */
export function ofType(type: InstanceType, describe: (transaction: Transaction) => Instance) {
  return (transaction: Transaction): Instance => {
    const instance = describe(transaction);
    if (instance.type === type) return instance;
    throw new Fault('cannot-register', `The instance is a ${instance.type} now, and was a ${type}.`);
  };
}

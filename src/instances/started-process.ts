import { readFileSync } from 'node:fs';
import { Fault } from '../errors.js';
import type { Instance, InstanceType } from '../model/instance.js';
import type { Transaction } from './registry.js';

/** The process by which the kernel knows an instance. */
export interface StartedProcess {
  /** of its init, or of what calls connect(2) for a virtual machine, in the daemon's pid namespace */
  readonly pid: number;
  /** of a virtual machine: its context id, vsock(7) */
  readonly cid?: number | undefined;
  /** of an instance that is made by its start */
  readonly type?: InstanceType;
}

/**
 * vhost-device-vsock can serve several machines, and connects for all of them: each would read what is another's.
 * @throws Fault cannot-register
 */
export function checkOneMachine(pid: number): void {
  const machines = wordsOf(pid).filter((word) => word === '--vm' || word.startsWith('--vm='));
  if (machines.length < 2) return;
  throw new Fault(
    'cannot-register',
    `Process ${pid} connects for ${machines.length} virtual machines (--vm), which cannot be told apart; start one for each.`,
  );
}

/** The command line of a process; empty: it is gone, or may not be read. */
function wordsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Until the start is stored, an instance of another type may have come under the name. */
export function ofType(type: InstanceType, describe: (transaction: Transaction) => Instance) {
  return (transaction: Transaction): Instance => {
    const instance = describe(transaction);
    if (instance.type === type) return instance;
    throw new Fault('cannot-register', `The instance is a ${instance.type} now, and was a ${type}.`);
  };
}

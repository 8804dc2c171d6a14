import { Fault } from '../errors.js';
import type { NativeRegistration, RegisterOutcome } from './addon.js';
import { describe } from './failure.js';

/** An init, or the process of a virtual machine, that was registered; from now on the gate holds one descriptor for it. */
export interface Registration {
  readonly slot: number;
  /** id of its pid namespace, decimal (64 bits on Linux 6.18, the inode number before) */
  readonly namespace: string;
  /** host uid to which the instance's uid 0 maps */
  readonly rootUid: number;
  /** start of init, clock ticks since boot: with the pid and the boot id it names one process, never reused */
  readonly startTicks: number;
}

/** @throws Fault cannot-register or shares-namespace, with the reason */
export function registrationOf(pid: number, made: NativeRegistration): Registration {
  if (made.outcome === 'registered') return made;
  const shares = made.outcome === 'own-namespace' || made.outcome === 'not-init';
  throw new Fault(shares ? 'shares-namespace' : 'cannot-register', registerSentence(pid, made));
}

function registerSentence(pid: number, made: NativeRegistration): string {
  const sentences: Record<RegisterOutcome, string> = {
    registered: '',
    gone: `There is no process ${pid}, or it has exited.`,
    'own-namespace': `Process ${pid} lives in the daemon's own pid namespace; give the pid of the instance's init.`,
    'not-init': `Process ${pid} is not the init (pid 1) of its pid namespace; give the pid of the instance's init.`,
    'no-root': `Nothing is mapped to uid 0 in the user namespace of process ${pid}; register it after its uid_map is written.`,
    'own-process': `Process ${pid} is the daemon; give the pid of the process that connects for the virtual machine.`,
    taken: `Process ${pid}, or its pid namespace, belongs to another running instance.`,
    'cid-taken': 'The CID belongs to another running instance; each virtual machine needs one of its own.',
    denied: `The daemon may not inspect process ${pid}; run it as root, or as the user that started the instance.`,
    failed: `Cannot register process ${pid}: ${describe(made)}`,
  };
  return sentences[made.outcome];
}

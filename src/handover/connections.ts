import { closeSync } from 'node:fs';
import type { Gate } from '../gate/gate.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { HeldConnections } from './held-connections.js';
import type { HandoverConnection } from './protocol.js';

/** Takes the idle connections of guests, and those of held callers, from the gate, for another process. */
export function takeGuestConnections(
  gate: Gate,
  running: RunningInstances,
  held: HeldConnections,
): HandoverConnection[] {
  return gate.takeForHandover().map(({ fd, slot, root, startTicks: connected, ticket }) => {
    const instance = running.at(slot);
    const startTicks = instance?.run?.startTicks;
    if (instance === undefined || startTicks === undefined)
      return { fd, socket: 'guest', caller: undefined, startTicks: connected, ticket: held.stored(ticket) };
    return { fd, socket: 'guest', caller: { instanceId: instance.id, startTicks, root } };
  });
}

/** Takes in connections of guests from another process. One of an instance that does not run any more is closed. */
export function admitGuests(gate: Gate, running: RunningInstances, connections: readonly HandoverConnection[]): void {
  for (const { fd, socket, caller, startTicks = 0, ticket = 0 } of connections) {
    if (socket !== 'guest') continue;
    if (caller === undefined) {
      gate.admit(fd, startTicks, ticket);
      continue;
    }
    const slot = running.slotOfRun(caller.instanceId, caller.startTicks);
    if (slot === undefined) closeSync(fd);
    else gate.readmit(fd, slot, caller.root);
  }
}

/** Takes in connections of operators from another process. */
export function admitOperators(control: { admit(fd: number): void }, connections: readonly HandoverConnection[]): void {
  for (const { fd, socket } of connections) if (socket === 'control') control.admit(fd);
}

import type { Gate } from '../gate/gate.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { HeldConnections } from './held-connections.js';
import { closeAll, type HandoverConnection } from './protocol.js';

/** Takes the idle connections of guests, and those of held callers, from the gate, for another process. */
export function takeGuestConnections(
  gate: Gate,
  running: RunningInstances,
  held: HeldConnections,
): HandoverConnection[] {
  return gate.takeForHandover().map(({ fd, slot, root, startTicks: connected, ticket, part }) => {
    const instance = running.at(slot);
    const startTicks = instance?.run?.startTicks;
    if (instance === undefined || startTicks === undefined)
      return { fd, socket: 'guest', caller: undefined, startTicks: connected, ticket: held.stored(ticket) };
    const caller = { instanceId: instance.id, startTicks, root };
    return { fd, socket: 'guest', caller, part: part < 0 ? undefined : part };
  });
}

/** Takes in connections of guests from another process. One of an instance that does not run any more is closed. */
export function admitGuests(gate: Gate, running: RunningInstances, connections: readonly HandoverConnection[]): void {
  for (const connection of connections) {
    const { fd, socket, caller, startTicks = 0, ticket = 0, part = -1 } = connection;
    if (socket !== 'guest') continue;
    if (caller === undefined) {
      gate.admit(fd, startTicks, ticket);
      continue;
    }
    const slot = running.slotOfRun(caller.instanceId, caller.startTicks);
    if (slot === undefined) closeAll([connection]);
    else gate.readmit(fd, slot, caller.root, part);
  }
}

/** Takes in connections of operators from another process. */
export function admitOperators(control: { admit(fd: number): void }, connections: readonly HandoverConnection[]): void {
  for (const { fd, socket } of connections) if (socket === 'control') control.admit(fd);
}

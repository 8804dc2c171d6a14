// Guests that do harm, in a process of their own. Prints the pids of the registered ones, by what they do. Each line
// of standard input names the kinds that begin; the next one, whatever it says, ends them, and how often each has done
// it is printed. Ends with standard input.
import { createInterface } from 'node:readline';
import { Guests } from '../support/guest-processes.js';
import { type Attack, attacks, byHostUser, byStrangers } from './attacks.js';

const [, , path = ''] = process.argv;
const guests = new Guests();
const runs = new Map<string, (isOver: () => boolean) => Promise<number>>();
const pids: Record<string, number> = {};

function add(all: Readonly<Record<string, Attack>>, isRegistered: boolean): void {
  for (const [name, attack] of Object.entries(all)) {
    const guest = guests.one();
    if (isRegistered) pids[name] = guest.pid;
    runs.set(name, (isOver) => attack(guest, { path, isOver }));
  }
}

add(attacks, true);
add(byStrangers, false);
for (const [name, attack] of Object.entries(byHostUser)) runs.set(name, (isOver) => attack({ path, isOver }));
process.stdout.write(`${JSON.stringify(pids)}\n`);

let end: (() => Promise<void>) | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  if (end !== undefined) {
    await end();
    end = undefined;
    continue;
  }
  let over = false;
  const counting = line.split(' ').map(async (name) => [name, await runs.get(name)?.(() => over)] as const);
  end = async () => {
    over = true;
    process.stdout.write(`${JSON.stringify(Object.fromEntries(await Promise.all(counting)))}\n`);
  };
}
await end?.();
await guests.close();

// Guests that do harm, in a process of their own. Prints their pids, by what they do; begins when it is told anything;
// ends with standard input, and prints how often each has done it.
import { once } from 'node:events';
import { Guests } from '../support/guest-processes.js';
import { attackFromHost, attacks } from './attacks.js';

const [, , path = '', hostUser = ''] = process.argv;
let over = false;
const target = { path, isOver: () => over };
const guests = new Guests();
const all = Object.entries(attacks).map(([name, attack]) => ({ name, attack, guest: guests.one() }));
process.stdout.write(`${JSON.stringify(Object.fromEntries(all.map(({ name, guest }) => [name, guest.pid])))}\n`);
process.stdin.on('end', () => {
  over = true;
});
await Promise.race(['data', 'end'].map((event) => once(process.stdin, event)));
const counting = all.map(async ({ name, attack, guest }): Promise<readonly [string, number]> => {
  return [name, await attack(guest, target)];
});
if (hostUser !== '') counting.push(attackFromHost(target).then((count) => ['host-user', count] as const));
const counts = await Promise.all(counting);
process.stdout.write(`${JSON.stringify(Object.fromEntries(counts))}\n`);
await guests.close();

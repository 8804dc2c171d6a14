// The tests of unit/ in one process, as npm test runs them: a process for each file takes half as long again.
import { readdirSync } from 'node:fs';

const files = readdirSync(`${import.meta.dirname}/unit`).filter((name) => name.endsWith('.test.js'));
for (const file of files) await import(`./unit/${file}`);

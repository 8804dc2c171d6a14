// What a demo guest runs, inside its own user and pid namespace. It is piped into node, so it imports nothing but
// Node's own modules: the guest may not be allowed to read the repository.
import { get } from 'node:http';

const socketPath = process.argv[2] ?? '';

function ask(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ socketPath, path, headers: { host: 'lxd' } }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve(body.trimEnd()));
    }).on('error', reject);
  });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

for (const path of ['/1.0', '/1.0/config', '/1.0/config/user.greeting', '/1.0/meta-data', '/1.0/devices']) {
  const [first = '', ...more] = (await ask(path)).split('\n');
  say(`GET ${path.padEnd(26)} ${first}`);
  for (const line of more) say(`${' '.repeat(31)}${line}`);
}

get({ socketPath, path: '/1.0/events', headers: { host: 'lxd' } }, (response) => {
  say('GET /1.0/events                listening');
  response.setEncoding('utf8');
  response.on('data', (lines: string) => {
    for (const line of lines.trimEnd().split('\n')) say(`EVENT ${line}`);
  });
  response.on('end', () => process.exit(0));
}).on('error', () => process.exit(1));

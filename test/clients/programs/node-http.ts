// node:http as a guest's client; its two usages are in ../client.ts.
import { readFileSync } from 'node:fs';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import type { ClientAnswer, ClientRequest } from '../client.js';

const [usage, socketPath = '', what = '', connections] = process.argv.slice(2);
const agent = new Agent({ keepAlive: connections === 'kept', maxSockets: 1 });

function respond({ method, path, body, chunked }: ClientRequest): Promise<[IncomingMessage, reused: boolean]> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, agent, method, path, headers: { Host: 'lxd' } });
    sent.on('response', (response) => resolve([response, sent.reusedSocket]));
    sent.on('error', reject);
    if (chunked) sent.write(body);
    sent.end(chunked ? undefined : body);
  });
}

async function ask(asked: ClientRequest): Promise<ClientAnswer> {
  const [response, reused] = await respond(asked);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString('base64');
  return { status: response.statusCode ?? 0, headers: wanted(response.headers), body, reused };
}

function wanted(headers: IncomingHttpHeaders): Record<string, string> {
  const names = ['content-type', 'content-length', 'x-content-type-options', 'transfer-encoding'];
  return Object.fromEntries(names.flatMap((name) => (headers[name] ? [[name, String(headers[name])]] : [])));
}

async function listen(count: number): Promise<void> {
  const [response] = await respond({ method: 'GET', path: '/1.0/events' });
  let heard = 0;
  for await (const line of createInterface({ input: response })) {
    process.stdout.write(`${line}\n`);
    if (++heard === count) break;
  }
  response.destroy();
}

if (usage === 'listen') {
  await listen(Number(what));
} else {
  const answers: ClientAnswer[] = [];
  for (const asked of JSON.parse(readFileSync(what, 'utf8')) as ClientRequest[]) answers.push(await ask(asked));
  process.stdout.write(JSON.stringify(answers));
}
agent.destroy();

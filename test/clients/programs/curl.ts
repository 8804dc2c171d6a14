// curl as a guest's client; its two usages are in ../client.ts.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientAnswer, ClientRequest } from '../client.js';

const [, socketPath = '', what = '', connections] = process.argv.slice(2);
const common = ['--silent', '--show-error', '--no-buffer', '--path-as-is', '--unix-socket', socketPath];
const directory = mkdtempSync('/dev/shm/curl-');

function curl(words: readonly string[]): string {
  const ran = spawnSync('curl', words, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(`curl ended with ${ran.status ?? ran.error}`);
  return ran.stdout;
}

function wordsOf({ method, path, body, chunked }: ClientRequest, index: number): string[] {
  const files = ['--dump-header', join(directory, `${index}.head`), '--output', join(directory, `${index}.body`)];
  const words = [...common, ...files, '--write-out', '%{num_connects}\n'];
  words.push(...(method === 'HEAD' ? ['--head'] : ['--request', method]));
  if (body !== undefined) words.push('--data-binary', body);
  if (chunked) words.push('--header', 'Transfer-Encoding: chunked');
  return [...words, `http://lxd${path}`];
}

function answerOf(method: string, index: number, connects: string | undefined): ClientAnswer {
  const [start = '', ...lines] = readFileSync(join(directory, `${index}.head`), 'latin1')
    .trim()
    .split('\r\n');
  const named = lines.map((line) => line.split(/: (.*)/s) as [string, string]);
  const headers = Object.fromEntries(named.map(([name, value]) => [name.toLowerCase(), value]));
  const file = join(directory, `${index}.body`);
  // With --head it holds the head. A body after all would be taken for the next answer on that connection.
  const body = existsSync(file) && method !== 'HEAD' ? readFileSync(file).toString('base64') : '';
  return { status: Number(start.split(' ')[1]), headers, body, reused: connects === '0' };
}

const requests = JSON.parse(readFileSync(what, 'utf8')) as ClientRequest[];
const each = requests.map(wordsOf);
const output =
  connections === 'kept' ? curl(each.flatMap((words) => ['--next', ...words]).slice(1)) : each.map(curl).join('');
const connects = output.split('\n');
process.stdout.write(JSON.stringify(requests.map(({ method }, index) => answerOf(method, index, connects[index]))));

// The clients that people use, from inside a guest: the same requests, the same answers to the byte.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type Client, type ClientAnswer, type ClientRequest, clients, skipWithout } from './client.js';
import { nextBoot } from './next-boot.js';

const json = 'application/json';
const raw = 'application/octet-stream; charset=utf-8';

const config = {
  'cloud-init.user-data': '#cloud-config\n{}\n',
  'user.big': 'zwölf Zeichen '.repeat(70_000),
  'user.foo': 'bar',
  'user.sl/ash': 'a\tb\r\n',
  'user.ünï': 'Grüße, 世界, 🐧\n',
};
const keys = Object.keys(config).map((key) => `/1.0/config/${key}`);

interface Row {
  readonly request: string;
  readonly sends?: Pick<ClientRequest, 'body' | 'chunked'>;
  readonly status: number;
  readonly type: string;
  readonly body: string | RegExp;
}

const ok = (request: string, type: string, body: Row['body']): Row => ({ request, status: 200, type, body });
const fails = (request: string, status: number, sentence: string): Row => ({
  request,
  status,
  type: 'text/plain; charset=utf-8',
  body: `${sentence}\n`,
});
const patch = (sends: Row['sends'], row: Row): Row => ({ ...row, ...(sends && { sends }) });

const table: readonly Row[] = [
  ok('GET /', json, '["/1.0"]\n'),
  ok('GET /1.0', json, /^\{"state":"Started","api_version":"1.0",.*\}\n$/),
  ok('GET /1.0/', json, /^\{"state":"Started",/),
  patch({ body: '{"state":"Ready"}' }, ok('PATCH /1.0', raw, '')),
  ok('GET /1.0', json, /^\{"state":"Ready",/),
  patch({ body: '{"state":"Started"}', chunked: true }, ok('PATCH /1.0', raw, '')),
  ok('GET /1.0', json, /^\{"state":"Started",/),
  patch({ body: '{"state":"näh"}' }, fails('PATCH /1.0', 400, 'Invalid state "näh"')),
  ok('GET /1.0/config', json, `${JSON.stringify(keys)}\n`),
  ok('GET /1.0/config/user.foo', raw, 'bar'),
  ok('GET /1.0/config/user.foo?x=1&y', raw, 'bar'),
  ok('HEAD /1.0/config/user.foo', raw, 'bar'),
  ok('GET /1.0/config/user.sl%2Fash', raw, config['user.sl/ash']),
  ok('GET /1.0/config/user.%C3%BCn%C3%AF', raw, config['user.ünï']),
  ok('GET /1.0/config/user.big', raw, config['user.big']),
  ok('HEAD /1.0/config/user.big', raw, config['user.big']),
  ok('GET /1.0/config/cloud-init.user-data', raw, config['cloud-init.user-data']),
  ok('GET /1.0/meta-data', raw, /^#cloud-config\ninstance-id: [0-9a-f-]{36}\nlocal-hostname: c1\n$/),
  ok('GET /1.0/devices', json, '{}\n'),
  ok('HEAD /1.0/devices', json, '{}\n'),
  ok('GET /1.0/ubuntu-pro', json, '{"guest_attach":"off"}\n'),
  fails('GET /1.0/config/user.unset', 404, 'Not Found'),
  fails('HEAD /1.0/config/user.unset', 404, 'Not Found'),
  fails('GET /1.0/config/user.%ff', 400, 'Bad Request'),
  fails('GET /1.0/config/limits.cpu', 403, 'Forbidden'),
  fails('GET /1.0//config', 404, 'Not Found'),
  fails('GET /2.0', 404, 'Not Found'),
  fails('POST /1.0/config', 501, 'Not Implemented'),
  patch({ body: 'x=1' }, fails('POST /1.0/config', 501, 'Not Implemented')),
  fails('DELETE /1.0/config/user.foo', 501, 'Not Implemented'),
  fails('PUT /1.0', 501, 'Not Implemented'),
  ok('GET /1.0/config/user.foo', raw, 'bar'),
];

const requests: readonly ClientRequest[] = table.map(({ request, sends }) => {
  const [method = '', path = ''] = request.split(' ');
  return { method, path, ...sends };
});

describe('clients', () => {
  let daemon: TestDaemon;
  let directory: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'devlxd-clients-'));
    chmodSync(directory, 0o755);
    writeFileSync(join(directory, 'requests.json'), JSON.stringify(requests));
    daemon = await TestDaemon.start();
    await daemon.create('c1', { ...config, 'limits.cpu': '2' });
  });

  after(async () => {
    await daemon.remove();
    rmSync(directory, { recursive: true });
  });

  async function output(command: readonly string[], words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await nextBoot(daemon, 'c1', { command: [...command, '/dev/lxd/sock', ...words] });
    assert.equal(code, 0, stderr);
    return stdout;
  }

  for (const client of clients) {
    const skip = skipWithout(client);
    if (client.ask) testAsking(client, client.ask, skip);
    if (client.listen) testListening(client, client.listen, skip);
  }

  function testAsking({ name }: Client, ask: readonly string[], skip: string | false): void {
    for (const connections of ['new', 'kept']) {
      test(`${name}: every answer, ${connections} connections`, { skip }, async () => {
        const printed = await output(ask, [join(directory, 'requests.json'), connections]);
        const answers = JSON.parse(printed) as ClientAnswer[];
        table.forEach((row, index) => {
          compare(row, answers[index] as ClientAnswer);
          assert.equal(answers[index]?.reused, connections === 'kept' && index > 0, row.request);
        });
        assert.equal(answers.length, table.length);
      });
    }
  }

  function testListening({ name }: Client, listen: readonly string[], skip: string | false): void {
    test(`${name}: hears changes as they are made`, { skip }, async () => {
      const value = (n: number): string => `${n} <&> ☃ 🐧`;
      let ended = false;
      const heard = output(listen, ['3']).finally(() => {
        ended = true;
      });
      let changes = 0;
      await eventually('the client has heard three', async () => {
        if (!ended) await daemon.set('c1', { 'user.n': value(changes++) });
        return ended;
      });
      const lines = (await heard).trimEnd().split('\n');
      assert.equal(lines.length, 3);
      const [, first] = /"value":"(\d+) /.exec(lines[0] ?? '') ?? [];
      lines.forEach((line, index) => {
        const n = Number(first) + index;
        const [{ timestamp }, old] = [JSON.parse(line) as { timestamp: string }, n ? value(n - 1) : ''];
        const metadata = { key: 'user.n', old_value: old, value: value(n) };
        assert.equal(line, JSON.stringify({ type: 'config', timestamp, metadata }));
      });
      await daemon.set('c1', { 'user.n': '' });
    });
  }
});

function compare({ request, status, type, body }: Row, answer: ClientAnswer): void {
  const received = Buffer.from(answer.body, 'base64').toString();
  const head = request.startsWith('HEAD');
  const length = head ? Buffer.byteLength(body as string) : Buffer.byteLength(received);
  assert.equal(answer.status, status, request);
  if (head || typeof body === 'string') assert.equal(received, head ? '' : body, request);
  else assert.match(received, body, request);
  const { 'content-type': contentType, 'content-length': contentLength, ...others } = answer.headers;
  assert.deepEqual([contentType, contentLength], [type, String(length)], request);
  assert.equal(others['x-content-type-options'], type.startsWith('text/') ? 'nosniff' : undefined, request);
  assert.equal(others['transfer-encoding'], undefined, request);
}

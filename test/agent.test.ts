import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { GuestClient } from '../src/client/guest-client.js';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon } from './support/daemon.js';
import { download } from './support/download.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { ask, ended, exchange, Session } from './support/http.js';

const program = join(packageRoot, 'build/Release/devlxd-agent');
const markPath = '/1.0/config/user.mark';
const image = randomBytes(5_000_000);
const directory = mkdtempSync(join(tmpdir(), 'devlxd-agent-'));
const children: ChildProcess[] = [];

let daemon: TestDaemon;
let machine: Agent;

/** An agent whose host is reached by a Unix socket: then it is at once the process that connects for the machine. */
class Agent {
  readonly #child: ChildProcess;
  readonly #socket: string;

  constructor(host: string) {
    this.#socket = join(directory, `${children.length}`, 'sock');
    this.#child = spawn(program, ['--socket', this.#socket, '--host', `unix:${host}`], { stdio: 'inherit' });
    children.push(this.#child);
  }

  static async start(host: string): Promise<Agent> {
    const agent = new Agent(host);
    await eventually('the agent listens', () => existsSync(agent.#socket));
    return agent;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** As Guest.connect has it. */
  readonly connect = (): Socket => connect(this.#socket);
}

async function runsFor(name: string, agent: Agent): Promise<void> {
  const config = {
    'user.mark': `mark of ${name}`,
    'security.devlxd.nonroot': 'true',
    'security.devlxd.images': 'true',
  };
  await daemon.client.instances.create({ name, type: 'virtual-machine', config });
  await daemon.client.instances.start(name, agent.pid);
}

before(async () => {
  daemon = await TestDaemon.start();
  await daemon.client.upload('/1.0/images', Readable.from([image]), image.length, { 'x-lxd-public': 'true' });
  machine = await Agent.start(daemon.socket);
  await runsFor('vm1', machine);
});

after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await daemon.remove();
  rmSync(directory, { recursive: true });
});

test('everything that a guest asks passes', async () => {
  const session = new Session(machine.connect());
  for (let i = 0; i < 3; i++) assert.equal((await session.ask(markPath)).body, 'mark of vm1');
  assert.equal((await session.ask('/1.0', { method: 'PATCH', body: '{"state":"Ready"}' })).status, 200);
  await session.close();
  assert.equal(await daemon.status('vm1'), 'Ready');
  const client = new GuestClient({ connect: machine.connect });
  assert.equal((await client.info()).instance_type, 'virtual-machine');
});

test('an image passes, every byte', async () => {
  const fingerprint = createHash('sha256').update(image).digest('hex');
  const { body } = await download(machine.connect(), `/1.0/images/${fingerprint}/export`);
  assert.equal(createHash('sha256').update(body).digest('hex'), fingerprint);
});

for (const kind of ['webSocket', 'chunked'] as const) {
  test(`events pass: ${kind}`, async () => {
    const stream = await EventStream[kind](machine, '');
    await daemon.client.instances.patch('vm1', { config: { 'user.heard': kind } });
    await stream.atLeast(1);
    assert.equal(stream.events[0]?.metadata['value'], kind);
    stream.end();
    await stream.closed;
  });
}

test('a client that leaves, and one that says that it will send no more', async () => {
  const before = await daemon.metric('devlxd_connections');
  const open = machine.connect();
  open.write('GET /1.0');
  await eventually('it has come', async () => (await daemon.metric('devlxd_connections')) > before);
  open.destroy();
  await eventually('it has gone', async () => (await daemon.metric('devlxd_connections')) === before);
  const half = machine.connect();
  half.on('error', () => undefined);
  half.end(`GET ${markPath} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
  await ended(half.resume());
});

test('requests wait while the host is away, and are answered when it comes', async () => {
  const away = join(directory, 'away');
  const agent = await Agent.start(away);
  const asked = ask(agent.connect(), '/');
  const gone = agent.connect();
  await once(gone, 'connect');
  gone.destroy();
  const host = createServer((socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere')),
  ).listen(away);
  assert.equal((await asked).body, 'here');
  host.close();
});

test('a restart of the daemon is waited for', async () => {
  await daemon.end();
  const asked = ask(machine.connect(), markPath);
  await daemon.run();
  assert.equal((await asked).body, 'mark of vm1');
});

test('more connections than it takes are closed, and there is room again when they go', async () => {
  const agent = await Agent.start(join(directory, 'nowhere'));
  const sockets = Array.from({ length: 300 }, () => agent.connect());
  let closed = 0;
  for (const socket of sockets) ended(socket.resume()).then(() => closed++);
  // All are root's, or all are a user's, whose share is half.
  const taken = process.getuid?.() === 0 ? 256 : 128;
  await eventually('the surplus is closed', () => closed === 300 - taken);
  for (const socket of sockets) socket.destroy();
  await eventually('there is room', async () => {
    const socket = agent.connect();
    const stays = await Promise.race([ended(socket).then(() => false), pause(200).then(() => true)]);
    socket.destroy();
    return stays;
  });
});

test('bytes that are no HTTP, in any amount, harm no one else', async () => {
  const noise = exchange(machine.connect(), randomBytes(1_000_000));
  assert.equal((await ask(machine.connect(), markPath)).body, 'mark of vm1');
  await noise;
});

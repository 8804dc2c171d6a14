import assert from 'node:assert/strict';
import { connect } from 'node:net';
import WebSocket from 'ws';
import { socketPaths } from '../../src/config/paths.js';
import type { TestDaemon } from './daemon.js';
import { type Answer, ask } from './http.js';

export interface HostEvent {
  readonly type: string;
  readonly timestamp: string;
  readonly project?: string;
  readonly location: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A listener on the control socket. */
export interface Follower {
  readonly events: readonly HostEvent[];
  /** the close code */
  readonly closed: Promise<number>;
  end(): void;
}

/** A client that shows envelopes and statuses, and not only what is in them. */
export class Operator {
  readonly #daemon: () => TestDaemon;

  constructor(daemon: () => TestDaemon) {
    this.#daemon = daemon;
  }

  /** body: text is sent as it is, anything else as JSON */
  request(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
    return ask(connect(socketPaths(this.#daemon().runDir).control), path, { method, headers, ...sent });
  }

  /** What the answer is about; an operation is waited for. Fails when the answer is an error. */
  async metadata<Type>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Type> {
    const envelope = JSON.parse((await this.request(method, path, body, headers)).body);
    assert.notEqual(envelope.type, 'error', `${method} ${path}: ${envelope.error}`);
    if (envelope.type === 'sync') return envelope.metadata;
    const ended = await this.metadata<{ err: string }>('GET', `${envelope.operation}/wait`);
    assert.equal(ended.err, '', `${method} ${path}`);
    return ended as Type;
  }

  /** The error that a request is answered with, or that its operation ends with: "400 name: is missing". */
  async error(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<string> {
    const answer = await this.request(method, path, body, headers);
    const envelope = JSON.parse(answer.body);
    if (envelope.type === 'error') {
      assert.equal(envelope.error_code, answer.status);
      return `${answer.status} ${envelope.error}`;
    }
    assert.equal(envelope.type, 'async', `${method} ${path} is no error: ${answer.body}`);
    const ended = await this.metadata<{ err: string }>('GET', `${envelope.operation}/wait`);
    assert.notEqual(ended.err, '', `${method} ${path} is no error`);
    return `failed ${ended.err}`;
  }

  async etag(path: string): Promise<string> {
    return (await this.request('GET', path)).headers['etag'] as string;
  }

  /** query: "?type=lifecycle" */
  async follow(query = ''): Promise<Follower> {
    const socket = new WebSocket(`ws+unix:${socketPaths(this.#daemon().runDir).control}:/1.0/events${query}`);
    const events: HostEvent[] = [];
    socket.on('message', (data) => events.push(JSON.parse(String(data))));
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    return { events, closed, end: () => socket.close() };
  }
}

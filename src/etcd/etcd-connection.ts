import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { EtcdSetting, EtcdTls } from '../config/fleet-setting.js';
import { packageRoot } from '../package-root.js';
import type {
  Condition,
  Header,
  KeyValue,
  Operation,
  Permission,
  RangeResponse,
  TxnResponse,
  TxnResult,
  WatchedRange,
  WatchResponse,
} from './etcd-messages.js';

import { compareOf, endOf, isTooLarge, requestOf, unlessThere } from './etcd-requests.js';
import { credentialsOf, reasonOf } from './etcd-tls.js';

/** The watched revisions are not kept any more: everything must be read again. */
export class Compacted extends Error {
  override readonly name = 'Compacted';
}

/** etcd allows 128 (--max-txn-ops). */
export const mostOperations = 120;

const pageKeys = 500;
/** Of keys alone. */
const pageNames = 10_000;
const mostMessageBytes = 64 * 1024 * 1024;
/** etcd drops a client that asks more often than every 5 s (--grpc-keepalive-min-time). */
const keepaliveMilliseconds = 10_000;
const keepaliveTimeoutMilliseconds = 5000;
const deadlineMilliseconds = 10_000;
const keepAliveMilliseconds = 3000;
/** Of what is asked while the daemon stops. */
const hurriedMilliseconds = 1000;

const services = ['KV', 'Watch', 'Lease', 'Auth', 'Maintenance'] as const;
type Service = (typeof services)[number];
type Methods = Readonly<Record<string, grpc.MethodDefinition<object, object>>>;

let definitions: Readonly<Record<Service, Methods>> | undefined;

/** Read once, at the first connection: it takes 0.1 s. */
function methodsOf(service: Service): Methods {
  definitions ??= loaded();
  return definitions[service];
}

function loaded(): Readonly<Record<Service, Methods>> {
  const options = { includeDirs: [join(packageRoot, 'proto')], keepCase: true, longs: String, enums: String };
  const definition = loadSync('etcd.proto', { ...options, defaults: true });
  const entries = services.map((name) => [name, definition[`etcdserverpb.${name}`]]);
  return Object.fromEntries(entries) as Record<Service, Methods>;
}

/** What is told of a watch; `end` ends it without a further word, `progress` asks how far it is. */
export interface Watching {
  end(): void;
  progress(): void;
}

/** One member of etcd. When it fails, another connection is made, to the next member. */
export class EtcdConnection {
  readonly endpoint: string;
  readonly #client: grpc.Client;
  readonly #tls: EtcdTls | undefined;
  readonly #calls = new Set<grpc.ClientUnaryCall>();
  #deadline = deadlineMilliseconds;

  /** @throws Error, when a file of the certificates cannot be read */
  constructor(endpoint: string, { tls }: EtcdSetting) {
    this.endpoint = endpoint;
    this.#tls = tls;
    this.#client = new grpc.Client(endpoint, credentialsOf(tls), {
      'grpc.keepalive_time_ms': keepaliveMilliseconds,
      'grpc.keepalive_timeout_ms': keepaliveTimeoutMilliseconds,
      'grpc.max_receive_message_length': mostMessageBytes,
      'grpc.use_local_subchannel_pool': 1, // a connection that hangs is left, and not shared with the next
      'grpc.enable_http_proxy': 0,
    });
  }

  /** All keys under a prefix as they are at one revision, page by page. revision: undefined: now */
  async range(prefix: string, take: (kv: KeyValue) => void, revision?: string): Promise<Header> {
    let key = Buffer.from(prefix);
    let first: Header | undefined;
    const pageOf = this.#pages(pageKeys);
    for (;;) {
      const page = await pageOf({ key, range_end: endOf(prefix), revision: revision ?? first?.revision ?? '0' });
      first ??= page.header;
      for (const kv of page.kvs) take(kv);
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return first;
      key = Buffer.concat([last.key, Buffer.of(0)]);
    }
  }

  /** How far the cluster is: what a majority of its members agrees on. */
  async now(prefix: string): Promise<Header> {
    return ((await this.#unary('KV', 'Range', { key: Buffer.from(prefix), limit: 1 })) as RangeResponse).header;
  }

  /** undefined: there is no such key. revision: as it was then; left out: now */
  async get(key: string, revision = '0'): Promise<KeyValue | undefined> {
    const { kvs } = (await this.#unary('KV', 'Range', { key: Buffer.from(key), revision })) as RangeResponse;
    return kvs[0];
  }

  /**
   * The names that follow a prefix directly, each up to the next slash. etcd counts all keys that are left for each
   * request, so there are few of them: many keys at once, and on from the last name that is among them.
   */
  async names(prefix: string): Promise<string[]> {
    const names = new Map<string, Buffer>();
    const begin = Buffer.from(prefix);
    let key: Buffer = begin;
    const pageOf = this.#pages(pageNames);
    for (;;) {
      const { kvs, more } = await pageOf({ key, range_end: endOf(begin), keys_only: true });
      let last: Buffer | undefined;
      for (const { key: found } of kvs) {
        // As bytes: a name that is no UTF-8 would never be passed as text.
        const slash = found.indexOf('/', begin.length);
        last = slash < 0 ? found : found.subarray(0, slash);
        names.set(last.toString('latin1', begin.length), last.subarray(begin.length));
      }
      if (!more || last === undefined) return [...names.values()].map((name) => name.toString());
      key = endOf(Buffer.concat([last, Buffer.from('/')]));
    }
  }

  /** Revision of the newest change below a prefix, but for deletions; '0': there is nothing */
  async newest(prefix: string): Promise<string> {
    const sorted = { sort_order: 'DESCEND', sort_target: 'MOD', limit: 1, keys_only: true };
    const asked = { key: Buffer.from(prefix), range_end: endOf(prefix), ...sorted };
    return ((await this.#unary('KV', 'Range', asked)) as RangeResponse).kvs[0]?.mod_revision ?? '0';
  }

  /** All of it, if all conditions hold; else nothing. */
  async write(operations: readonly Operation[], conditions: readonly Condition[] = []): Promise<TxnResult> {
    const failure = conditions.flatMap((condition) =>
      'key' in condition ? [{ request_range: { key: Buffer.from(condition.key) } }] : [],
    );
    const asked = { compare: conditions.map(compareOf), success: operations.map(requestOf), failure };
    const { header, succeeded, responses } = (await this.#unary('KV', 'Txn', asked)) as TxnResponse;
    const found = succeeded ? [] : responses.map(({ response_range: range }) => range?.kvs[0]);
    return { header, succeeded, found };
  }

  /** @returns its id */
  async lease(seconds: number): Promise<string> {
    return ((await this.#unary('Lease', 'LeaseGrant', { TTL: seconds })) as { ID: string }).ID;
  }

  async revoke(lease: string): Promise<void> {
    await this.#unary('Lease', 'LeaseRevoke', { ID: lease });
  }

  /** @returns seconds left; 0: it is over */
  keepAlive(lease: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const call = this.#stream('Lease', 'LeaseKeepAlive', { deadline: Date.now() + keepAliveMilliseconds });
      call.on('error', reject);
      call.on('data', ({ TTL }: { TTL: string }) => {
        resolve(Number(TTL));
        call.cancel();
      });
      call.write({ ID: lease });
    });
  }

  /** A user without a password, which is one by its certificate, with a role of these permissions; what is there stays. */
  async addUser(user: string, role: string, permissions: readonly Permission[]): Promise<void> {
    await this.#unary('Auth', 'UserAdd', { name: user, options: { no_password: true } }).catch(unlessThere);
    await this.#unary('Auth', 'RoleAdd', { name: role }).catch(unlessThere);
    for (const { prefix, writes } of permissions) {
      const perm = { permType: writes ? 'READWRITE' : 'READ', key: Buffer.from(prefix), range_end: endOf(prefix) };
      await this.#unary('Auth', 'RoleGrantPermission', { name: role, perm });
    }
    await this.#unary('Auth', 'UserGrantRole', { user, role });
  }

  /** of the member: 3.5.16 */
  async version(): Promise<string> {
    return ((await this.#unary('Maintenance', 'Status', {})) as { version: string }).version;
  }

  /**
   * Watches ranges in one stream, each from a revision on. ended: told once, with why, which is also what told throws;
   * nothing is told after it
   */
  watch(
    ranges: readonly WatchedRange[],
    told: (response: WatchResponse) => void,
    ended: (error: Error) => void,
  ): Watching {
    const metadata = new grpc.Metadata();
    metadata.set('hasleader', 'true'); // a member that has lost the majority ends the stream, instead of saying nothing
    const call = this.#stream('Watch', 'Watch', {}, metadata);
    let over = false;
    const end = (error?: Error): void => {
      if (over) return;
      over = true;
      call.cancel();
      if (error !== undefined) ended(error);
    };
    const take = (response: WatchResponse): void => {
      if (response.compact_revision !== '0') throw new Compacted(`compacted at ${response.compact_revision}`);
      if (response.canceled) throw new Error(`the watch is refused: ${response.cancel_reason}`);
      told(response);
    };
    call.on('data', (response: WatchResponse) => {
      if (over) return;
      try {
        take(response);
      } catch (error) {
        end(error as Error);
      }
    });
    call.on('error', (error: grpc.ServiceError) => end(this.#explained(error)));
    call.on('end', () => end(new Error('etcd has ended the watch')));
    for (const { id, prefix, from } of ranges) {
      const range = { key: Buffer.from(prefix), range_end: endOf(prefix), watch_id: id, start_revision: from };
      call.write({ create_request: { ...range, progress_notify: true, fragment: true } });
    }
    return { end: () => end(), progress: () => void (over || call.write({ progress_request: {} })) };
  }

  /** What is under way fails at once; what is asked from here on has little time. */
  hurry(): void {
    this.#deadline = hurriedMilliseconds;
    for (const call of this.#calls) call.cancel();
  }

  close(): void {
    this.#client.close();
  }

  /** Asks for parts of a range; each as large as can be had. */
  #pages(limit: number): (asked: object) => Promise<RangeResponse> {
    let most = limit;
    return async (asked) => {
      for (;;) {
        try {
          return (await this.#unary('KV', 'Range', { ...asked, limit: most })) as RangeResponse;
        } catch (error) {
          if (!isTooLarge(error) || most === 1) throw error;
          most = Math.ceil(most / 2); // values are up to 1.5 MB
        }
      }
    };
  }

  #unary(service: Service, method: string, request: object): Promise<unknown> {
    const { path, requestSerialize, responseDeserialize } = this.#method(service, method);
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + this.#deadline;
      const answered = (error: grpc.ServiceError | null, value?: object): void => {
        this.#calls.delete(call);
        if (error) reject(this.#explained(error));
        else resolve(value);
      };
      const serializers = [requestSerialize, responseDeserialize] as const;
      const call = this.#client.makeUnaryRequest(path, ...serializers, request, { deadline }, answered);
      this.#calls.add(call);
    });
  }

  #explained(error: grpc.ServiceError): grpc.ServiceError {
    if (error.code !== grpc.status.UNAVAILABLE) return error;
    error.details = reasonOf(error.details, this.#tls);
    error.message = `UNAVAILABLE: ${error.details}`;
    return error;
  }

  #stream(service: Service, method: string, options: grpc.CallOptions, metadata = new grpc.Metadata()) {
    const { path, requestSerialize, responseDeserialize } = this.#method(service, method);
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, options);
  }

  #method(service: Service, method: string): grpc.MethodDefinition<object, object> {
    return methodsOf(service)[method] as grpc.MethodDefinition<object, object>;
  }
}

import { closeSync } from 'node:fs';
import { type MetricsAddress, metricsAddressIn } from '../config/metrics-address.js';
import type { Settings } from '../config/options.js';
import { Fault } from '../errors.js';
import { listenTcp } from '../gate/tcp-socket.js';
import { duplicate, listenUnix } from '../gate/unix-socket.js';
import { giveToGroup } from './group.js';
import { type FileId, fileId, removeFile } from './run-directory.js';

/** Callers that wait to be accepted: a scraper, and not many. */
const backlog = 64;

/** The listening socket of the metrics, as it is handed over. */
export interface HandedMetricsSocket {
  readonly fd: number;
  /** --metrics-listen with which a devlxd has bound it; undefined: a service manager has */
  readonly address: string | undefined;
  readonly file: FileId;
}

/** The listening socket of --metrics-listen, or the one that a service manager has passed. */
export class MetricsSocket {
  readonly #settings: Settings;
  #held: HandedMetricsSocket | undefined;

  /** received: dropped when another devlxd has bound it for another address */
  constructor(settings: Settings, received: HandedMetricsSocket | undefined) {
    this.#settings = settings;
    this.#held = received;
    if (received?.address !== undefined && received.address !== settings.metricsListen) this.close(false);
  }

  get held(): HandedMetricsSocket | undefined {
    return this.#held;
  }

  /** For the log; undefined: the metrics are served on the control socket alone. */
  get shown(): string | undefined {
    if (this.#held === undefined) return undefined;
    return this.#held.address ?? 'of the service manager';
  }

  /**
   * A descriptor to accept on, the caller's from here on; undefined: there is to be none.
   * @throws Fault socket-in-use
   */
  listening(): number | undefined {
    this.#held ??= this.#bind();
    return this.#held && duplicate(this.#held.fd);
  }

  /** handedOver: another process accepts on the same file, which stays */
  close(handedOver: boolean): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    closeSync(held.fd);
    const at = addressOf(held.address, this.#settings);
    if (!handedOver && at?.kind === 'unix') removeFile(at.path, held.file);
  }

  #bind(): HandedMetricsSocket | undefined {
    const { metricsListen: address, group } = this.#settings;
    const at = addressOf(address, this.#settings);
    if (at === undefined) return undefined;
    if (at.kind === 'tcp') return { fd: listenTcp(at.address, at.port, backlog), address, file: undefined };
    const fd = listenUnixFor(at.path, group === '' ? 0o600 : 0o660);
    if (group !== '') giveToGroup(at.path, group);
    return { fd, address, file: fileId(at.path) };
  }
}

function addressOf(text: string | undefined, { runDir }: Settings): MetricsAddress | undefined {
  const address = text === undefined || text === '' ? undefined : metricsAddressIn(text, runDir);
  return typeof address === 'string' ? undefined : address; // the options were checked
}

function listenUnixFor(path: string, mode: number): number {
  try {
    return listenUnix(path, mode, backlog, '--metrics-listen');
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('bad-socket', `--metrics-listen unix:${path} cannot be used: ${(error as Error).message}`);
  }
}

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { devlxd } from './daemon.js';
import { listeners } from './listeners.js';
import { requestColumns, requests, serverTime } from './requests.js';
import type { Side, Trial } from './trial.js';

/** A running container of the real LXD on this host. */
interface Container {
  /** of its init, as the host sees it */
  readonly pid: number;
  /** of LXD itself */
  readonly daemon: number;
  readonly socket: string;
}

/** LXD closes what is beyond its descriptors, which are 1,024 less than ours. */
const lxdListeners = 2_000;

/** What is asked of both: LXD has a different GET /1.0, and no two answers have as many bytes. */
const path = '/1.0/config/user.role';
const role = 'web';

/**
 * devlxd against the real LXD, asked from inside one of its containers: a process in its user and pid namespaces.
 * @throws Error with what to do, when there is no such container
 */
export function lxdTrials(name: string): Trial[] {
  const side = lxd(name, containerOf(name));
  const own = devlxd({ options: ['--limit-connections-per-instance', '0'], config: { 'user.role': role } });
  const common = {
    unit: 'requests/s',
    sides: [own, side],
    reference: side.name,
    columns: requestColumns,
    unlike: true,
  };
  return [
    {
      ...common,
      name: 'lxd-keepalive-8',
      about: `GET ${path} on 8 kept connections, of devlxd and of the real LXD`,
      goal: { of: 'ratio', atLeast: 150 },
      measure: requests({ mode: 'keepalive', connections: 8, path, body: role }),
    },
    {
      ...common,
      name: 'lxd-connect',
      // Slowly: as fast as it goes, even one at a time, ends LXD 5.0.2 within seconds (concurrent map read and write).
      about: `CPU time of the server for: connect, GET ${path}, close; 100 a second, of devlxd and of the real LXD`,
      unit: 'us',
      goal: { of: 'ratio', atMost: 1 / 40 },
      measure: serverTime({ mode: 'connect', connections: 1, path, body: role, rate: 100 }),
    },
    {
      ...common,
      name: 'lxd-listeners',
      about: `resident memory for each of ${lxdListeners} idle WebSocket listeners, of devlxd and of the real LXD`,
      unit: 'KB/listener',
      columns: ['listeners', 'before MB', 'after MB', 'connecting s'],
      goal: { of: 'ratio', atMost: 1 / 25 },
      measure: listeners(lxdListeners),
    },
  ];
}

function lxd(name: string, { pid, daemon, socket }: Container): Side {
  return {
    name: 'lxd',
    start: async () => {
      lxc('config', 'set', name, `user.role=${role}`);
      return {
        socket,
        pid: daemon,
        enter: ['nsenter', '--target', String(pid), '--user', '--pid'],
        admit: async () => undefined,
        announce: async () => {
          lxc('config', 'set', name, `user.event=${performance.now()}`);
        },
        stop: async () => [],
      };
    },
  };
}

function containerOf(name: string): Container {
  const query = (what: string) => JSON.parse(lxc('query', what));
  const { environment } = query('/1.0') as { environment: { server: string; server_pid: number } };
  const state = query(`/1.0/instances/${name}/state`) as { status: string; pid: number };
  if (environment.server !== 'lxd') throw new Error(`what lxc talks to is ${environment.server}, and not LXD`);
  if (state.status !== 'Running') throw new Error(`the container ${name} does not run: lxc start ${name}`);
  const socket = join(process.env['LXD_DIR'] ?? '/var/lib/lxd', 'devlxd/sock');
  if (!existsSync(socket)) throw new Error(`there is no ${socket}; LXD_DIR says where LXD keeps its files`);
  return { pid: state.pid, daemon: environment.server_pid, socket };
}

function lxc(...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('lxc', words, { encoding: 'utf8', timeout: 30_000 });
  if (status === 0) return stdout;
  throw new Error(`lxc ${words.join(' ')}: ${error?.message ?? stderr.trim()} (apt-get install lxd lxd-client)`);
}

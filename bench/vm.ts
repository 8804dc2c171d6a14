import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HostClient } from '../src/cli/with-client.js';
import { packageRoot } from '../src/package-root.js';
import { eventually } from '../test/support/eventually.js';
import { HostMachine } from '../test/vm/host-machine.js';
import { parts } from '../test/vm/packages.js';
import { Child } from './child.js';
import { devlxd } from './daemon.js';
import { type RequestLoad, requestColumns, requests } from './requests.js';
import { type Bench, type Restartable, type Server, type Side, stoppedBy, type Trial } from './trial.js';
import { tools } from './workplace.js';

/** One that is asked through devlxd-agent, perhaps. */
interface Reached extends Server {
  /** what is resident of the agent, in KB */
  readonly agentMemory?: () => Promise<number>;
}

const path = '/1.0/config/user.role';
const role = 'web';
const agentProgram = join(tools, 'devlxd-agent');
const cid = 42;
const inMachine = '/run/agent';

const container = devlxd({ options: ['--limit-connections-per-instance', '0'], config: { 'user.role': role } });
const unkept = devlxd({
  name: 'devlxd-unkept',
  options: ['--limit-connections-per-instance', '0', '--response-cache', '0'],
  config: { 'user.role': role },
});

/**
 * A virtual machine's way beside a container's: by Unix-socket vsock, through devlxd-agent. The agent alone, on this host,
 * shows what it costs; a machine without KVM shows what the emulation costs.
 * machine: a machine boots as well
 */
export function machineTrials(machine: boolean): Trial<Reached>[] {
  const sides = [container, unkept, agent, ...(machine ? [machineSide] : [])];
  const trial = (name: string, about: string, load: Omit<RequestLoad, 'path' | 'body'>): Trial<Reached> => ({
    name,
    about: `${about}, as a container and as a virtual machine`,
    unit: 'requests/s',
    sides,
    reference: unkept.name,
    columns: [...requestColumns, 'agent KB'],
    measure: reached({ ...load, path, body: role }),
  });
  return [
    trial('vm-keepalive-8', `GET ${path} on 8 kept connections`, { mode: 'keepalive', connections: 8 }),
    trial('vm-connect', `connect, GET ${path}, close; 4 at a time`, { mode: 'connect', connections: 4 }),
  ];
}

function reached(load: RequestLoad): (bench: Bench, server: Reached) => ReturnType<ReturnType<typeof requests>> {
  const measure = requests(load);
  return async (bench, server) => {
    const sample = await measure(bench, server);
    const resident = (await server.agentMemory?.()) ?? 0;
    return { ...sample, also: { ...sample.also, 'agent KB': resident } };
  };
}

/** On this host: a process that is a virtual machine's for devlxd, and a load that is its client. */
const agent: Side<Reached> = {
  name: 'agent',
  start: async (bench) => {
    const daemon = await container.start(bench);
    const socket = bench.workplace.path('agent');
    const words = [agentProgram, '--socket', socket, '--host', `unix:${daemon.socket}`];
    const child = new Child('devlxd-agent', [...bench.pins.load, ...words]);
    await eventually('the agent listens', () => existsSync(socket));
    await startMachine(daemon, child.pid);
    const stop = async (): Promise<string[]> => {
      await child.end('SIGTERM');
      return daemon.stop();
    };
    const agentMemory = async () => residentIn(readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8'));
    return { ...stoppedBy(daemon, stop), socket, enter: [], agentMemory };
  },
};

/** The agent and the load are in a machine, without KVM. */
const machineSide: Side<Reached> = {
  name: 'machine',
  start: async (bench) => {
    const found = parts();
    if (found instanceof Error) throw found;
    const daemon = await container.start(bench);
    const host = await HostMachine.boot(found, cid, daemon.socket, (pid) => startMachine(daemon, pid));
    const pid = await host.run(`${agentProgram} --socket ${inMachine} </dev/null >/dev/null 2>&1 & echo $!`);
    const stop = async (): Promise<string[]> => {
      await host.end();
      return daemon.stop();
    };
    const enter = [process.execPath, join(packageRoot, 'dist/bench/in-machine.js'), ...host.entrance];
    const agentMemory = async () => residentIn(await host.run(`cat /proc/${pid.trim()}/smaps_rollup`));
    return { ...stoppedBy(daemon, stop), socket: inMachine, enter, agentMemory };
  },
};

async function startMachine(daemon: Restartable, pid: number): Promise<void> {
  const client = new HostClient(daemon.runDir);
  // By Unix-socket vsock nobody can prove to be root.
  const config = { 'user.role': role, 'security.devlxd.nonroot': 'true' };
  await client.instances.create({ name: 'machine', type: 'virtual-machine', config });
  await client.instances.start('machine', pid);
  await client.close();
}

function residentIn(rollup: string): number {
  return Number(/^Rss: +(\d+)/m.exec(rollup)?.[1] ?? 0);
}

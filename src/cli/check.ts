import { release } from 'node:os';
import type { Command } from 'commander';
import { testBridge } from '../bridge-test.js';
import { connectionRoom, descriptorLimit } from '../descriptors.js';
import { bestIdentityPath } from '../gate.js';
import { withClient } from './client.js';
import { print } from './output.js';

interface Finding {
  readonly what: string;
  readonly value: string;
  readonly meaning: string;
  readonly ok: boolean;
}

const identityMeanings: Readonly<Record<string, string>> = {
  'pidfd-ioctl': 'the kernel names each caller and its pid namespace without a race (Linux 6.11 or newer)',
  'peer-pidfd': 'the kernel names each caller without a race; its namespace is read from /proc (Linux 6.5 or newer)',
  procfs:
    'callers are known by pid number only (before Linux 6.5): should the daemon stand still for more than 2 s, fresh processes are refused once instead of mistaken for others',
};

/** devlxd check */
export function addCheck(program: Command): void {
  const command = program
    .command('check')
    .description('say what this host offers, what that means, and whether a daemon runs')
    .option('--json', 'for programs')
    .addHelpText('after', '\nExample:\n  devlxd check');
  command.action(async () => {
    const findings = [kernel(), identity(), descriptors(), await bridge(), await daemon(command)];
    if (command.getOptionValue('json')) print(JSON.stringify(findings));
    else
      for (const { what, value, meaning, ok } of findings)
        print(`${ok ? 'ok ' : 'BAD'}  ${what}: ${value}\n     ${meaning}`);
    if (findings.some(({ ok }) => !ok)) process.exitCode = 1;
  });
}

function kernel(): Finding {
  return { what: 'kernel', value: release(), meaning: 'devlxd needs Linux 5.3 or newer, for pidfds', ok: true };
}

function identity(): Finding {
  const path = bestIdentityPath();
  return { what: 'identity path', value: path, meaning: identityMeanings[path] ?? '', ok: true };
}

function descriptors(): Finding {
  const limit = descriptorLimit();
  const room = connectionRoom();
  return {
    what: 'file descriptors',
    value: String(limit),
    meaning: `each running instance takes one, each open connection takes one; at most ${room} connections are let in`,
    ok: room > 1000,
  };
}

async function bridge(): Promise<Finding> {
  const what = 'uWebSockets.js bridge';
  try {
    await testBridge();
    return { what, value: 'self-test passed', meaning: 'accepted connections reach it with their caller', ok: true };
  } catch (error) {
    return { what, value: 'self-test failed', meaning: (error as Error).message, ok: false };
  }
}

async function daemon(command: Command): Promise<Finding> {
  const what = 'daemon';
  try {
    const info = (await withClient(command, (client) => client.request('GET', '/1.0'))) as {
      environment: { server_version: string; server_pid: number };
    };
    const { server_version: running, server_pid: pid } = info.environment;
    return { what, value: `version ${running}, pid ${pid}`, meaning: 'answers on its control socket', ok: true };
  } catch (error) {
    return { what, value: 'none found', meaning: (error as Error).message, ok: true };
  }
}

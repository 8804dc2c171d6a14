import { release } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { ConnectionError } from '../client/client-errors.js';
import { readSettingsAndFile } from '../config/options-file.js';
import { descriptorLimit, descriptorRoom } from '../gate/file-descriptors.js';
import { bestIdentityMethod } from '../gate/gate.js';
import { testBridge } from '../gate/self-test.js';
import { samplesOf } from '../metrics/exposition.js';
import { version } from '../package-root.js';
import { visible } from '../text/width.js';
import { healthOf } from './daemon-health.js';
import type { Finding } from './finding.js';
import { print } from './output.js';
import { runDirectoryHealth } from './run-directory-health.js';
import { addOption, flagsOf } from './serve.js';
import { sourceSocket } from './source-socket-health.js';
import { storeHealth } from './store-health.js';
import { withHost } from './with-client.js';

const identityMeanings: Readonly<Record<string, string>> = {
  'pidfd-ioctl': 'the kernel names each caller and its pid namespace without a race (Linux 6.11 or newer)',
  'peer-pidfd': 'the kernel names each caller without a race; its namespace is read from /proc (Linux 6.5 or newer)',
  procfs:
    'callers are known by pid number only (before Linux 6.5): should the daemon stand still for more than 2 s, fresh processes are refused once instead of mistaken for others',
};

/** A daemon that is well answers in a few milliseconds. */
const patienceMilliseconds = 5000;

const words = { ok: 'ok     ', warning: 'warning', bad: 'BAD    ' } as const;

/** ok: false only of what is bad */
function withOk(finding: Finding): Finding & { ok: boolean } {
  return { ...finding, ok: finding.state !== 'bad' };
}

/** devlxd check */
export function addCheck(program: Command): void {
  const command = program
    .command('check')
    .description('say what this host offers, whether a daemon runs, and whether that is well')
    .option('--json', 'for programs')
    .addHelpText(
      'after',
      `
1 is the exit code when something is bad, 0 when there are warnings at most.

Example:
  devlxd check`,
    );
  for (const name of ['state-dir', 'options-file'] as const) addOption(command, name);
  command.action(async () => {
    const findings = [kernel(), identity(), descriptors(), await bridge(), ...(await daemon(command))];
    if (command.getOptionValue('json')) print(JSON.stringify(findings.map(withOk)));
    else
      for (const { what, value, meaning, state } of findings)
        print(`${words[state]}  ${visible(`${what}: ${value}`)}\n         ${visible(meaning)}`);
    // Not exitCode alone: a daemon that hangs would be waited for.
    process.exit(findings.some(({ state }) => state === 'bad') ? 1 : 0);
  });
}

function kernel(): Finding {
  return { what: 'kernel', value: release(), meaning: 'devlxd needs Linux 5.3 or newer, for pidfds', state: 'ok' };
}

function identity(): Finding {
  const path = bestIdentityMethod();
  return { what: 'identity method', value: path, meaning: identityMeanings[path] ?? '', state: 'ok' };
}

function descriptors(): Finding {
  const limit = descriptorLimit();
  const room = descriptorRoom();
  return {
    what: 'file descriptors',
    value: String(limit),
    meaning: `each running instance takes one, each open connection takes one; there is room for ${room} of both`,
    state: room > 1000 ? 'ok' : 'bad',
  };
}

async function bridge(): Promise<Finding> {
  const what = 'uWebSockets.js bridge';
  try {
    await testBridge();
    return { what, value: 'self-test passed', meaning: 'accepted connections reach it with their caller', state: 'ok' };
  } catch (error) {
    return { what, value: 'self-test failed', meaning: (error as Error).message, state: 'bad' };
  }
}

async function daemon(command: Command): Promise<Finding[]> {
  try {
    const asked = withHost(command, async (client) => {
      const server = (await client.request('GET', '/1.0')) as ServerInfo;
      const metrics = await client.metrics();
      // What names instances is long where there are thousands.
      const isNamed = !/^devlxd_unmerged_documents 0$/m.test(metrics);
      return [server.environment, isNamed ? await client.metrics({ perInstance: true }) : metrics] as const;
    });
    const [info, metrics] = await Promise.race([asked, tooLate()]);
    const samples = samplesOf(metrics);
    return [versions(info), ...(await sourceSocket(samples)), ...healthOf(samples, Date.now() / 1000)];
  } catch (error) {
    const { stateDir } = readSettingsAndFile(flagsOf(command));
    const { runDir } = command.optsWithGlobals() as { runDir: string };
    const found = [runDirectoryHealth(runDir), storeHealth(stateDir)];
    return [notReached(error as Error), ...found.map((finding) => unlessOthers(finding, error as Error))];
  }
}

/** Another user's daemon that runs may have directories that are only its own. */
function unlessOthers(found: Finding, notReached: Error): Finding {
  const isOthers = notReached instanceof ConnectionError && notReached.code === 'EACCES';
  return found.state === 'bad' && isOthers ? { ...found, state: 'warning' } : found;
}

interface ServerInfo {
  readonly environment: { readonly server_version: string; readonly server_pid: number };
}

function versions({ server_version: running, server_pid: pid }: ServerInfo['environment']): Finding {
  const same = running === version;
  const meaning = same
    ? 'answers on its control socket'
    : `this is ${version}: \`systemctl restart devlxd\`, or \`devlxd serve --takeover\`, which no guest notices`;
  return { what: 'daemon', value: `version ${running}, pid ${pid}`, meaning, state: same ? 'ok' : 'warning' };
}

async function tooLate(): Promise<never> {
  await pause(patienceMilliseconds, undefined, { ref: false });
  throw new Error(
    `It has not answered for ${patienceMilliseconds / 1000} s: it hangs, or the host has no processor time.`,
  );
}

const notReachedStates = new Map<string, Finding['state']>([
  ['ENOENT', 'ok'],
  ['EACCES', 'warning'],
]);

/** That none runs is no fault of the host; that one does not answer is. */
function notReached(error: Error): Finding {
  const code = error instanceof ConnectionError ? error.code : '';
  const value = code === 'ENOENT' ? 'none found' : 'does not answer';
  return { what: 'daemon', value, meaning: error.message, state: notReachedStates.get(code) ?? 'bad' };
}

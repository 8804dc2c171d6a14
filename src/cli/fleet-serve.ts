import type { Command } from 'commander';
import { optionDeclarations, readSettings } from '../config/options.js';
import { createLog } from '../log.js';
import { etcdSettingIn } from './fleet-client.js';
import { stopSignal } from './stop-signal.js';

const usualDirectory =
  process.getuid?.() === 0 ? '/run/devlxd-fleet' : `${optionDeclarations['run-dir'].default}-fleet`;

/** devlxd fleet serve */
export function addFleetServe(parent: Command): void {
  const command = parent
    .command('serve')
    .description('answer as one daemon with all instances of the fleet, on control.sock of --run-dir, until SIGTERM')
    .addHelpText(
      'after',
      `
It keeps nothing: there may be any number of them. Its --run-dir is ${usualDirectory} where none is given.

Examples:
  devlxd fleet serve --fleet etcd1:2379,etcd2:2379 &
  LXD_SOCKET=${usualDirectory}/control.sock lxc list`,
    );
  command.action(async () => {
    const { FleetEndpoint } = await import('../endpoint/fleet-endpoint.js');
    const { runDir } = command.optsWithGlobals() as { runDir: string };
    const isGiven = command.getOptionValueSourceWithGlobals('runDir') === 'cli';
    const directory = isGiven ? runDir : usualDirectory;
    const { limits, logLevel, logFormat } = readSettings({});
    const log = await createLog(logLevel, logFormat);
    const endpoint = await FleetEndpoint.open(etcdSettingIn(command), directory, limits, log);
    log.info({ directory }, 'listening');
    const signal = await stopSignal();
    log.info({ signal }, 'stopping');
    await endpoint.stop();
  });
}

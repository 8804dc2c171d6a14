import type { Command } from 'commander';
import { HostClient } from '../client/host-client.js';
import { OptionError } from '../config/options.js';
import type { AboutOne } from './fleet-client.js';

export { instancePath } from '../client/requests.js';
export { HostClient };

/** Runs work with a client for the daemon, or the fleet, that the command line names. about: the one instance of a fleet */
export async function withClient<Result>(
  command: Command,
  work: (client: HostClient) => Promise<Result>,
  about?: AboutOne,
): Promise<Result> {
  if (isOfFleet(command)) return (await import('./fleet-client.js')).withFleet(command, work, about);
  return withHost(command, work);
}

/** The same for what only one host can be asked. @throws OptionError, when --fleet was given */
export async function withHost<Result>(
  command: Command,
  work: (client: HostClient) => Promise<Result>,
): Promise<Result> {
  if (command.getOptionValueSourceWithGlobals('fleet') === 'cli')
    throw new OptionError('This is asked of one host: leave --fleet out, or name its --run-dir.');
  const { runDir, project } = command.optsWithGlobals() as { runDir: string; project: string };
  const client = new HostClient(runDir, { project });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** Is a fleet meant, and not the daemon of this host? A --run-dir that is given is one of a daemon. */
export function isOfFleet(command: Command): boolean {
  if (command.getOptionValueSourceWithGlobals('fleet') === 'cli') return true;
  return command.optsWithGlobals()['fleet'] !== '' && command.getOptionValueSourceWithGlobals('runDir') !== 'cli';
}

/** The same for a command that prints nothing when all is well. */
export async function perform(
  command: Command,
  work: (client: HostClient) => Promise<unknown>,
  about?: AboutOne,
): Promise<void> {
  await withClient(command, work, about);
}

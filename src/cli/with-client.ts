import type { Command } from 'commander';
import { HostClient } from '../client/host-client.js';

export { instancePath } from '../client/requests.js';
export { HostClient };

/** Runs work with a client for the daemon that the command line names. */
export async function withClient<Result>(
  command: Command,
  work: (client: HostClient) => Promise<Result>,
): Promise<Result> {
  const { runDir, project } = command.optsWithGlobals() as { runDir: string; project: string };
  const client = new HostClient(runDir, { project });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** The same for a command that prints nothing when all is well. */
export async function perform(command: Command, work: (client: HostClient) => Promise<unknown>): Promise<void> {
  await withClient(command, work);
}

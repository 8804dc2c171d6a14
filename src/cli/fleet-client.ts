import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { HostClient } from '../client/host-client.js';
import { type EtcdSetting, etcdSettingOf } from '../config/fleet-setting.js';
import { OptionError, optionDeclarations, readSettings, variableOf } from '../config/options.js';
import { Fault } from '../errors.js';
import type { EtcdConnection } from '../etcd/etcd-connection.js';
import type { PartOfFleet } from '../fleet/fleet-part.js';
import { createLog } from '../log.js';

/** The one instance that a command is about. */
export type AboutOne = Omit<PartOfFleet, 'project'>;

/**
 * Runs work with a client for the whole fleet: an endpoint of it that this process is for as long as that takes.
 * about: no other instance has to be read
 */
export async function withFleet<Result>(
  command: Command,
  work: (client: HostClient) => Promise<Result>,
  about?: AboutOne,
): Promise<Result> {
  const { FleetEndpoint } = await import('../endpoint/fleet-endpoint.js');
  const { project } = command.optsWithGlobals() as { project: string };
  const runDir = mkdtempSync(join(tmpdir(), 'devlxd-fleet-'));
  try {
    const log = await createLog('error', 'auto');
    const part = about && { ...about, project };
    const endpoint = await FleetEndpoint.open(etcdSettingIn(command), runDir, readSettings({}).limits, log, part);
    const client = new HostClient(runDir, { project });
    try {
      return await work(client);
    } finally {
      await client.close();
      await endpoint.stop();
    }
  } finally {
    rmSync(runDir, { recursive: true, force: true });
  }
}

/** What the command line says of etcd. @throws OptionError */
export function etcdSettingIn(command: Command): EtcdSetting {
  process.noDeprecation = true; // gRPC names a member by its address to TLS, which Node would tell the operator of
  const { fleet, etcdPrefix: prefix, etcdCa: ca, etcdCert: cert, etcdKey: key } = command.optsWithGlobals();
  const endpoints = fleet || optionDeclarations['etcd-endpoints'].default;
  return etcdSettingOf({ endpoints, prefix, ca, cert, key }, (name, sentence) => {
    const option = name === 'endpoints' ? 'fleet' : `etcd-${name}`;
    return new OptionError(`--${option} (${variableOf(option)}) ${sentence}.`);
  });
}

/** Runs work with the first member of etcd that does it. */
export async function withEtcd<Result>(
  setting: EtcdSetting,
  work: (connection: EtcdConnection) => Promise<Result>,
): Promise<Result> {
  const { EtcdConnection } = await import('../etcd/etcd-connection.js');
  const failed: string[] = [];
  for (const endpoint of setting.endpoints) {
    const connection = connected(() => new EtcdConnection(endpoint, setting));
    try {
      return await work(connection);
    } catch (error) {
      if (error instanceof Fault) throw error;
      failed.push(`${endpoint}: ${(error as Error).message}`);
    } finally {
      connection.close();
    }
  }
  throw new Fault('no-daemon', `No member of etcd answers: ${failed.join('; ')}. Name them with --fleet HOST:PORT,...`);
}

/** @throws OptionError, when a file of the certificates is of no use */
function connected(make: () => EtcdConnection): EtcdConnection {
  try {
    return make();
  } catch (error) {
    throw new OptionError(`${(error as Error).message}.`);
  }
}

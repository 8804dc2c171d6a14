import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { hostNameOf } from '../config/fleet-setting.js';
import { OptionError } from '../config/options.js';
import { Fault } from '../errors.js';
import { FleetKeys } from '../fleet/fleet-keys.js';
import { etcdSettingIn, withEtcd } from './fleet-client.js';
import { print } from './output.js';

/** X.509 has no longer ones. */
const mostOfCommonName = 64;

/** devlxd fleet add-host */
export function addAddHost(parent: Command): void {
  const command = parent
    .command('add-host')
    .description('let a host read its own part of the fleet and no other: its user and role in etcd, and its key')
    .argument('<host>', 'its name in the fleet, and the common name of its certificate')
    .option('--output <dir>', 'directory for HOST.key and HOST.csr', '.')
    .addHelpText(
      'after',
      `
An authority of etcd's --trusted-ca-file signs HOST.csr; the private key is made here and is for the host alone. What is
there already stays as it is.

Example:
  devlxd fleet add-host host4 --output ./host4`,
    );
  command.action(async (host: string, { output }: { output: string }) => {
    hostNameOf(host, (_, sentence) => new OptionError(`The name of a host ${sentence}.`));
    if (host.length > mostOfCommonName)
      throw new OptionError(`The name of a host that has a certificate has at most ${mostOfCommonName} characters.`);
    const setting = etcdSettingIn(command);
    const keys = new FleetKeys(setting.prefix);
    const [key, request] = [join(output, `${host}.key`), join(output, `${host}.csr`)];
    if (existsSync(key)) print(`${key} is there already, and stays.`);
    else requestCertificate(host, key, request);
    await withEtcd(setting, (connection) =>
      connection.addUser(host, `host-${host}`, [
        { prefix: keys.host(host), writes: false },
        { prefix: keys.shared, writes: false },
        { prefix: keys.status(host), writes: true },
      ]),
    );
    print(`etcd has the user ${host}, with the role host-${host}.`);
    print(`Have ${request} signed, and on ${host}:
  devlxd serve --source etcd --etcd-endpoints ${setting.endpoints.join(',')} --etcd-host ${host} \\
    --etcd-ca CA.pem --etcd-cert ${host}.pem --etcd-key ${host}.key`);
  });
}

function requestCertificate(host: string, key: string, request: string): void {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const words = ['req', '-new', ...curve, '-keyout', key, '-out', request, '-subj', `/CN=${host}`];
  const { status, stderr, error } = spawnSync('openssl', words, { encoding: 'utf8' });
  if (status !== 0) {
    const reason = error?.message ?? stderr.trim();
    throw new Fault('invalid-value', `openssl, which makes the key and the request, fails: ${reason}`);
  }
  print(`${key} and ${request} are written.`);
}

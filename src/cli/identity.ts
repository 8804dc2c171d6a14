import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { IdentityKeySet } from '../api/types.js';
import { OptionError } from '../config/options.js';
import { print } from './output.js';
import { withClient, withHost } from './with-client.js';

/** devlxd identity */
export function addIdentity(program: Command): void {
  const command = program
    .command('identity')
    .description('keys of the signed identity documents that guests get from /1.0/identity')
    .addHelpText(
      'after',
      `
Examples:
  devlxd identity keys > jwks.json
  devlxd identity rotate
  devlxd identity discovery --url https://id.example.org --output /srv/www`,
    );
  addKeys(command);
  addRotate(command);
  addDiscovery(command);
}

function addKeys(parent: Command): void {
  const command = parent
    .command('keys')
    .description('print the JWK set that verifies the documents (RFC 7517); with --fleet, those of all hosts')
    .addHelpText('after', '\nExample:\n  devlxd identity keys > jwks.json');
  command.action(() => withClient(command, async (client) => print(text(await client.identity.keys()))));
}

function addRotate(parent: Command): void {
  const command = parent
    .command('rotate')
    .description('let the next key sign; the old one stays published until its last document is over')
    .addHelpText('after', '\nExample:\n  devlxd identity rotate');
  command.action(() =>
    withHost(command, async (client) => {
      const { kid, signs_from } = await client.identity.rotate();
      print(`${kid} signs from ${signs_from}`);
    }),
  );
}

function addDiscovery(parent: Command): void {
  const command = parent
    .command('discovery')
    .description('write the two static files of OpenID discovery, for a web server to serve below --url')
    .requiredOption('--url <url>', 'where they will be served; --identity-issuer of the daemon must be the same')
    .option('--output <dir>', 'directory to write them into', '.')
    .addHelpText(
      'after',
      '\nRun it again after each rotation.\n\nExample:\n  devlxd identity discovery --url https://id.example.org --output /srv/www',
    );
  command.action(({ url, output }: { url: string; output: string }) =>
    withHost(command, async (client) => {
      const base = httpsUrl(url);
      const { issuer } = await client.identity.info();
      if (issuer !== base) {
        throw new OptionError(
          `Verifiers compare "iss" with the URL, and this daemon's is ${issuer}: start it with --identity-issuer ${base}.`,
        );
      }
      const configuration = join(output, '.well-known/openid-configuration');
      await mkdir(join(output, '.well-known'), { recursive: true });
      // The keys first: the other file points to them.
      await writeFile(join(output, 'jwks.json'), `${text(await client.identity.keys())}\n`);
      await writeFile(configuration, `${JSON.stringify(discoveryOf(base), null, 2)}\n`);
      print(`${configuration}\n${join(output, 'jwks.json')}`);
    }),
  );
}

function text(keys: IdentityKeySet): string {
  return JSON.stringify(keys, null, 2);
}

/** OpenID Connect Discovery 1.0, section 3; none of the endpoints that it names for logins exists. */
function discoveryOf(issuer: string): object {
  return {
    issuer,
    jwks_uri: `${issuer}/jwks.json`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  };
}

function httpsUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol === 'https:' && url.search === '' && url.hash === '') return given.replace(/\/+$/, '');
  throw new OptionError(`--url takes an https:// URL without a query, not "${given}".`);
}

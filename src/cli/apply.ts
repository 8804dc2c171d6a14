import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import type { HostClient } from '../client/host-client.js';
import { OptionError } from '../config/options.js';
import { print } from './output.js';
import { ProgressBar } from './progress.js';
import { withClient } from './with-client.js';

interface ApplyOptions {
  readonly file: string;
  readonly dryRun?: true;
  readonly quiet?: true;
  readonly project: string;
}

/** With --dry-run: something would change. */
const wouldChange = 3;

/** devlxd apply */
export function addApply(program: Command): void {
  const command = program
    .command('apply')
    .description('make instances and profiles what a file says, in one transaction')
    .requiredOption('-f, --file <file>', 'YAML or NDJSON; - is standard input', fileOf)
    .option('--dry-run', 'only show what would change')
    .option('--quiet', 'show the numbers only')
    .addHelpText(
      'after',
      `
What the file names is made so; a field that is there (config, devices, profiles, description) holds as a whole, one
that is not stays as it is, and so do instances and profiles that the file does not name. YAML:

  profiles:
    - name: web
      config: {user.role: web}
  instances:
    - name: web1
      profiles: [default, web]
      config: {user.index: 1}
      devices: {data: {type: disk, source: /srv/web1, path: /data}}

NDJSON has one of them a line, profiles with "kind":"profile".

Exit codes: 0 it is so now (with --dry-run: it is so already); 1 it did not work, and nothing was changed; 2 the
command line or the file is wrong; 3 with --dry-run, something would change.

Examples:
  devlxd apply -f host.yaml --dry-run
  devlxd apply -f host.yaml
  generate-instances | devlxd apply -f - --quiet`,
    );
  command.action((options: ApplyOptions) =>
    withClient(command, (client) => apply(client, { ...options, project: command.optsWithGlobals()['project'] })),
  );
}

async function apply(client: HostClient, { file, dryRun, quiet, project }: ApplyOptions): Promise<void> {
  // Loaded here, so that no other command waits for what reads files.
  const [{ readWanted }, { planOf }, text] = await Promise.all([
    import('../apply/wanted.js'),
    import('../apply/plan.js'),
    import('../apply/plan-text.js'),
  ]);
  const plan = await planOf(client, readWanted(read(file), file === '-' ? 'standard input' : file), project);
  const colored = process.stdout.isTTY === true;
  if (!quiet) for (const item of plan.items) print(text.itemText(item, colored));
  print(text.summary(plan));
  if (plan.items.length === 0) return;
  if (dryRun) process.exitCode = wouldChange;
  else
    await write(
      client,
      plan.items.map(({ line }) => line),
    );
}

async function write(client: HostClient, lines: Parameters<HostClient['batch']>[0]): Promise<void> {
  const bar = new ProgressBar();
  const stages = new Map([
    ['check', 'Checking'],
    ['write', 'Writing'],
  ]);
  bar.show('Sending', 0);
  try {
    await client.batch(lines, (stage, percent) =>
      bar.show(stages.get(stage) ?? stage, percent / 100, `of ${lines.length}`),
    );
  } finally {
    bar.end();
  }
  print('Done.');
}

function read(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new OptionError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

function fileOf(given: string): string {
  if (given === '') throw new InvalidArgumentError('It is the name of a file.');
  return given;
}

import { type Command, InvalidArgumentError } from 'commander';
import type { HostClient } from '../client/host-client.js';
import { addManualText } from './help.js';
import { nameOfInput, readInput } from './input.js';
import { print } from './output.js';
import { ProgressBar } from './progress.js';
import { withClient } from './with-client.js';

interface ApplyOptions {
  readonly file: string;
  readonly dryRun?: true;
  readonly quiet?: true;
  readonly name?: string;
  readonly project: string;
}

/** With --dry-run: something would change. */
const wouldChange = 3;

const more = `
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

NDJSON has one of them a line, profiles with "kind":"profile". One instance or profile as devlxd show, lxc config show
and lxc profile show print it is taken, and the instances and profiles of a preseed; what is left out is said. Keys under
volatile. stay what they are; a new instance keeps its volatile.cloud-init.instance-id.
`;

const examples = `
What the file names is made so; the rest stays. docs/examples/host.yaml is one. Also what devlxd show, lxc config show
and lxc profile show print. devlxd man says more.

Exit codes: 0 it is so now (with --dry-run: it is so already); 1 it did not work, and nothing was changed; 2 the
command line or the file is wrong; 3 with --dry-run, something would change.

Examples:
  devlxd apply -f host.yaml
  lxc config show web1 | devlxd apply -f - --name web1`;

/** devlxd apply */
export function addApply(program: Command): void {
  const command = program
    .command('apply')
    .description('make instances and profiles what a file says, in one transaction')
    .requiredOption('-f, --file <file>', 'YAML or NDJSON; - is standard input', fileOf)
    .option('--dry-run', 'only show what would change')
    .option('--name <name>', 'of the one instance or profile in a file that does not say it, as "lxc config show"')
    .option('--quiet', 'show the numbers only')
    .addHelpText('after', examples);
  addManualText(command, more);
  command.action((options: ApplyOptions) =>
    withClient(command, (client) => apply(client, { ...options, project: command.optsWithGlobals()['project'] })),
  );
}

async function apply(client: HostClient, { file, dryRun, quiet, name, project }: ApplyOptions): Promise<void> {
  // Loaded here, so that no other command waits for what reads files.
  const [{ readWanted }, { fileText }, { planOf }, text] = await Promise.all([
    import('../apply/wanted.js'),
    import('../apply/file-text.js'),
    import('../apply/plan.js'),
    import('../apply/plan-text.js'),
  ]);
  const path = nameOfInput(file);
  const expected = name === undefined ? { project } : { project, name };
  const wanted = readWanted(fileText(readInput(file), path, expected), path, expected);
  const leftOut = text.leftOutText(wanted.leftOut);
  if (leftOut !== '') print(leftOut);
  const plan = await planOf(client, wanted, project);
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

function fileOf(given: string): string {
  if (given === '') throw new InvalidArgumentError('It is the name of a file.');
  return given;
}

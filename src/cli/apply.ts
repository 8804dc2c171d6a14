import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Item, Plan } from '../apply/plan.js';
import { type BatchLimits, bodyOf, type Part, partsOf, withoutProfiles } from '../apply/transactions.js';
import { ofItem, writeParts } from '../apply/write.js';
import type { HostClient } from '../client/host-client.js';
import type { Progress } from '../client/requests.js';
import { addManualText, asDetail } from './help.js';
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
  readonly target?: string;
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
and lxc profile show print it is taken, a list of them as devlxd list and lxc list print it (--format json or yaml), and
the instances and profiles of a preseed; what is left out is said. Keys under volatile. stay what they are; a new
instance keeps its volatile.cloud-init.instance-id.

What is more than --limit-batch-lines or --limit-control-body of the daemon takes several transactions, which is said
before they begin; each is all or nothing.
`;

const examples = `
What the file names is made so; the rest stays. docs/examples/host.yaml is one. Also what devlxd show, lxc config show
and lxc profile show print.

Exit codes: 0 it is so now (with --dry-run: it is so already); 1 it did not work, and nothing was changed, or only by
the transactions before; 2 the command line or the file is wrong; 3 with --dry-run, something would change.

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
  command.addOption(
    asDetail(new Option('--target <host>', 'of a fleet: the host that is to have new instances; none: those with few')),
  );
  addManualText(command, more);
  command.action((options: ApplyOptions) =>
    withClient(command, (client) => apply(client, { ...options, project: command.optsWithGlobals()['project'] })),
  );
}

async function apply(client: HostClient, { file, dryRun, quiet, name, project, target }: ApplyOptions): Promise<void> {
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
  const plan = await planOf(client, wanted, project, target);
  const parts = plan.items.length === 0 ? [] : partsOf(plan.items, await batchLimits(client));
  if (dryRun) await check(client, parts);
  const colored = process.stdout.isTTY === true;
  if (!quiet) for (const item of plan.items) print(text.itemText(item, colored));
  print(text.summary(plan));
  if (parts.length === 0) return;
  if (parts.length > 1) print(`${parts.length} transactions; each is all or nothing.`);
  if (dryRun) process.exitCode = wouldChange;
  else await write(client, parts, () => planOf(client, wanted, project, target));
}

/** Asks the daemon whether it would take it. A transaction has not what those before it would have made. */
async function check(client: HostClient, parts: readonly Part[]): Promise<void> {
  const isNewProfile = ({ kind, isNew }: Item) => kind === 'profile' && isNew;
  const fresh = new Set(parts.flatMap(({ items }) => items.filter(isNewProfile).map(({ name }) => name)));
  for (const { items, body } of parts) {
    const alone = () => bodyOf(items.map(({ line }) => withoutProfiles(line, fresh)));
    const sent = parts.length === 1 ? body : alone();
    await client.checkBatchOf(sent).catch((error: unknown) => Promise.reject(ofItem(error, items)));
  }
}

async function batchLimits(client: HostClient): Promise<BatchLimits> {
  const { batch_lines: lines, batch_bytes: bytes } = (await client.info()).environment;
  return { lines, bytes };
}

async function write(client: HostClient, parts: readonly Part[], planAgain: () => Promise<Plan>): Promise<void> {
  const bar = new ProgressBar();
  const progressOf = ({ items }: Part, index: number): Progress => {
    const number = parts.length === 1 ? '' : ` ${index + 1} of ${parts.length}`;
    return (stage, percent) => bar.show(`${stages.get(stage) ?? stage}${number}`, percent / 100, `of ${items.length}`);
  };
  bar.show('Sending', 0);
  try {
    await writeParts(client, parts, planAgain, progressOf);
  } finally {
    bar.end();
  }
  print('Done.');
}

const stages: ReadonlyMap<string, string> = new Map([
  ['check', 'Checking'],
  ['write', 'Writing'],
]);

function fileOf(given: string): string {
  if (given === '') throw new InvalidArgumentError('It is the name of a file.');
  return given;
}

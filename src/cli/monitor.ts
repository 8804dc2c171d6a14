import { type Command, InvalidArgumentError, Option } from 'commander';
import type { HostEvent } from '../api/types.js';
import type { HostClient } from '../client/host-client.js';
import { OptionError } from '../config/options.js';
import { eventLine } from './event-line.js';
import { print } from './output.js';
import { withClient } from './with-client.js';

const types = ['lifecycle', 'operation', 'logging'] as const;
type EventType = (typeof types)[number];

interface MonitorOptions {
  readonly type?: EventType[];
  readonly instance?: string[];
  readonly allProjects?: true;
  readonly format: 'lines' | 'json' | 'yaml';
  readonly count?: number;
}

/** devlxd monitor */
export function addMonitor(program: Command): void {
  const command = program
    .command('monitor')
    .description('show what happens on the host, as it happens')
    .option('--type <type...>', `lifecycle, operation, logging; all when left out`, typesOf)
    .option('--instance <instance...>', 'what concerns these instances')
    .option('--all-projects', 'of all projects')
    .addOption(
      new Option('--format <format>', 'for people; or each event as a document of its own')
        .choices(['lines', 'json', 'yaml'])
        .default('lines'),
    )
    .option('--count <number>', 'end after this many events', countOf)
    .addHelpText(
      'after',
      `
Examples:
  devlxd monitor
  devlxd monitor --type lifecycle --instance web1 web2
  devlxd monitor --type lifecycle --format json | jq -r .metadata.source`,
    );
  command.action((options: MonitorOptions) => withClient(command, (client) => monitor(options, client)));
}

async function monitor(
  { type, instance, format, count, ...options }: MonitorOptions,
  client: HostClient,
): Promise<void> {
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort());
  const events = client.events({ ...options, ...(type === undefined ? {} : { types: type }), signal: ended.signal });
  const render = await rendererOf(format);
  let shown = 0;
  for await (const event of events) {
    if (instance !== undefined && !concerns(event, instance)) continue;
    print(render(event));
    if (++shown === count) return;
  }
}

async function rendererOf(format: MonitorOptions['format']): Promise<(event: HostEvent) => string> {
  if (format === 'lines') return eventLine;
  if (format === 'json') return (event) => JSON.stringify(event);
  const { yamlOf } = await import('./yaml.js');
  return (event) => `---\n${yamlOf(event)}`;
}

/** Is it about one of these instances? A gap is about everyone. */
function concerns(event: HostEvent, instances: readonly string[]): boolean {
  if (event.type === 'reconnected') return true;
  return instancesOf(event).some((name) => name !== undefined && instances.includes(name));
}

function instancesOf(event: Exclude<HostEvent, { type: 'reconnected' }>): (string | undefined)[] {
  if (event.type === 'logging') return [event.metadata.context['instance']];
  if (event.type === 'operation') return (event.metadata.resources.instances ?? []).map(nameIn);
  const { source, context } = event.metadata;
  return source.startsWith('/1.0/instances/') ? [nameIn(source), context['old_name']] : [];
}

/** /1.0/instances/web1?project=blue -> web1 */
function nameIn(path: string): string | undefined {
  return path.split('?')[0]?.split('/')[3];
}

function typesOf(given: string, before: EventType[] = []): EventType[] {
  const known = given.split(',').map((type) => {
    const found = types.find((one) => one === type);
    if (found === undefined) throw new InvalidArgumentError(`Types are ${types.join(', ')}.`);
    return found;
  });
  return [...before, ...known];
}

function countOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new OptionError(`--count takes a whole number from 1 on, not "${text}".`);
  return Number(text);
}

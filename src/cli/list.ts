import type { Command } from 'commander';
import type { InstanceWithState } from '../api/types.js';
import { closestMatch } from '../closest-match.js';
import { OptionError } from '../config/options.js';
import { printLines } from './long-list.js';
import { formatOption, printList } from './output.js';
import type { Column } from './table.js';
import { type HostClient, withClient } from './with-client.js';

const columns = {
  project: { heading: 'PROJECT', value: ({ project }) => project },
  name: { heading: 'NAME', value: ({ name }) => name },
  status: { heading: 'STATUS', value: ({ status }) => status.toUpperCase(), whole: true },
  type: { heading: 'TYPE', value: ({ type }) => type },
  pid: { heading: 'PID', value: ({ state: { pid } }) => (pid === 0 ? '' : String(pid)) },
  keys: { heading: 'KEYS', value: ({ config }) => String(ownKeys(config).length) },
  devices: { heading: 'DEVICES', value: ({ devices }) => String(Object.keys(devices).length) },
  profiles: { heading: 'PROFILES', value: ({ profiles }) => profiles.join(' ') },
  description: { heading: 'DESCRIPTION', value: ({ description }) => description },
  created: { heading: 'CREATED', value: ({ created_at }) => created_at.slice(0, 19).replace('T', ' '), whole: true },
  location: { heading: 'LOCATION', value: ({ location }) => location },
  source: { heading: 'SOURCE', value: ({ source = 'devlxd' }) => source },
} as const satisfies Readonly<Record<string, Column<InstanceWithState>>>;

type ColumnName = keyof typeof columns;
const columnNames = Object.keys(columns) as ColumnName[];
const usual: readonly ColumnName[] = ['name', 'status', 'pid', 'keys', 'devices', 'created'];

interface ListOptions {
  readonly filter?: string;
  readonly allProjects?: true;
  readonly columns?: string;
  readonly sort?: string;
}

/** devlxd list */
export function addList(program: Command): void {
  const command = program
    .command('list')
    .description('show all instances')
    .option('--filter <clauses>', 'only instances that match; docs/host-api.md')
    .option('--all-projects', 'of all projects')
    .option('--columns <names>', `${columnNames.join(', ')}, or keys such as user.role`)
    .option('--sort <column>', 'by what; -pid: the other way round')
    .addOption(formatOption())
    .addHelpText(
      'after',
      `
Examples:
  devlxd list --filter 'status=running and config.user.role=web'
  devlxd list --columns name,status,user.role --sort -created
  devlxd list --format json`,
    );
  command.action((options: ListOptions) =>
    withClient(command, async (client) => {
      const sortBy = options.sort === undefined ? undefined : orderOf(options.sort);
      const chosen = options.columns?.split(',').map(columnOf);
      const list = {
        columnsOf: async (first: readonly InstanceWithState[], isAll: boolean) => {
          if (chosen !== undefined) return chosen;
          if (first.some(({ location }) => location !== 'none')) return fleetColumns(options.allProjects === true);
          const sourced = first.some(({ source }) => source !== undefined) || (!isAll && (await hasSourced(client)));
          return usualColumns(options.allProjects === true, sourced);
        },
        none: 'There are no instances yet; "devlxd create NAME" makes one.',
        noun: 'instances',
      };
      if (sortBy === undefined) return printLines(command, client.instances.linesWithState(options), list);
      const rows = (await client.instances.listWithState(options)).sort(sortBy);
      await printList(command, await list.columnsOf(rows, true), rows, list.none, list.noun);
    }),
  );
}

/** Most hosts have one project, and no instances but their own. */
function usualColumns(allProjects: boolean, sourced: boolean): Column<InstanceWithState>[] {
  const names: ColumnName[] = [
    ...(allProjects ? (['project'] as const) : []),
    ...usual,
    ...(sourced ? (['source'] as const) : []),
  ];
  return names.map((name) => columns[name]);
}

/** Of instances on many hosts, whose pids mean nothing here. */
function fleetColumns(allProjects: boolean): Column<InstanceWithState>[] {
  const names: ColumnName[] = ['name', 'status', 'location', 'keys', 'devices', 'profiles', 'created'];
  return (allProjects ? (['project', ...names] as const) : names).map((name) => columns[name]);
}

/** Has any of all the instances another owner? */
async function hasSourced(client: HostClient): Promise<boolean> {
  const query = { filter: 'source=lxd or source=incus or source=etcd', allProjects: true };
  for await (const _ of client.instances.lines(query)) return true;
  return false;
}

/** A column by its name, or the value of a configuration key. */
function columnOf(name: string): Column<InstanceWithState> {
  if (name.includes('.')) return { heading: name, value: ({ expanded_config }) => expanded_config[name] ?? '' };
  if (Object.hasOwn(columns, name)) return columns[name as ColumnName];
  const near = closestMatch(name, columnNames);
  const meant = near === undefined ? `it is one of ${columnNames.join(', ')}` : `do you mean ${near}?`;
  throw new OptionError(`There is no column "${name}"; ${meant}`);
}

function orderOf(given: string): (a: InstanceWithState, b: InstanceWithState) => number {
  const { value } = columnOf(given.replace(/^-/, ''));
  const { compare } = new Intl.Collator('en', { numeric: true });
  const sign = given.startsWith('-') ? -1 : 1;
  return (a, b) => sign * compare(value(a), value(b));
}

/** Keys that an operator has set. */
function ownKeys(config: Readonly<Record<string, string>>): string[] {
  return Object.keys(config).filter((key) => !key.startsWith('volatile.'));
}

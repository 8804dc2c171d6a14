import type { Command } from 'commander';
import type { InstanceWithState } from '../api/types.js';
import { formatOption, printList } from './output.js';
import type { Column } from './table.js';
import { withClient } from './with-client.js';

const columns: readonly Column<InstanceWithState>[] = [
  { heading: 'NAME', value: ({ name }) => name },
  { heading: 'STATUS', value: ({ status }) => status.toUpperCase(), whole: true },
  { heading: 'PID', value: ({ state: { pid } }) => (pid === 0 ? '' : String(pid)) },
  { heading: 'KEYS', value: ({ config }) => String(ownKeys(config).length) },
  { heading: 'DEVICES', value: ({ devices }) => String(Object.keys(devices).length) },
  { heading: 'CREATED', value: ({ created_at }) => created_at.slice(0, 19).replace('T', ' '), whole: true },
];
const projectColumn: Column<InstanceWithState> = { heading: 'PROJECT', value: ({ project }) => project };
const sourceColumn: Column<InstanceWithState> = { heading: 'SOURCE', value: ({ source = 'devlxd' }) => source };

interface ListOptions {
  readonly filter?: string;
  readonly allProjects?: true;
}

/** devlxd list */
export function addList(program: Command): void {
  const command = program
    .command('list')
    .description('show all instances')
    .option('--filter <clauses>', 'those that it is true of; docs/host-api.md')
    .option('--all-projects', 'of all projects')
    .addOption(formatOption())
    .addHelpText(
      'after',
      `
Examples:
  devlxd list
  devlxd list --format json
  devlxd list --filter 'status=running and config.user.role=web'`,
    );
  command.action((options: ListOptions) =>
    withClient(command, async (client) => {
      const instances = await client.instances.listWithState(options);
      const shown = [
        ...(options.allProjects ? [projectColumn] : []),
        ...columns,
        // Most hosts have none but their own.
        ...(instances.some(({ source }) => source !== undefined) ? [sourceColumn] : []),
      ];
      await printList(command, shown, instances, 'There are no instances yet; "devlxd create NAME" makes one.');
    }),
  );
}

/** Those that an operator has set. */
function ownKeys(config: Readonly<Record<string, string>>): string[] {
  return Object.keys(config).filter((key) => !key.startsWith('volatile.'));
}

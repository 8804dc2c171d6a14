import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { type ApiInstance, withClient } from './client.js';
import { type Format, formats, print, table } from './output.js';

const headings = ['NAME', 'STATUS', 'PID', 'KEYS', 'DEVICES', 'CREATED'] as const;

/** devlxd list */
export function addList(program: Command): void {
  const command = program
    .command('list')
    .description('show all instances')
    .addOption(new Option('--format <format>', 'how').choices(formats).default('table'))
    .addHelpText(
      'after',
      `
Examples:
  devlxd list
  devlxd list --format json`,
    );
  command.action(() =>
    withClient(command, async (client) => {
      print(render(await client.instances(), command.getOptionValue('format') as Format));
    }),
  );
}

function render(instances: readonly ApiInstance[], format: Format): string {
  if (format === 'json') return JSON.stringify(instances);
  if (format === 'yaml') return stringify(instances).trimEnd();
  const rows = instances.map(cellsOf);
  if (format === 'csv') return rows.map((row) => row.join(',')).join('\n');
  return rows.length === 0 ? 'There are no instances yet; "devlxd create NAME" makes one.' : table(headings, rows);
}

function cellsOf({ name, status, state, config, devices, created_at }: ApiInstance): string[] {
  const pid = state?.pid ? String(state.pid) : '';
  const keys = Object.keys(config).filter((key) => !key.startsWith('volatile.'));
  return [
    name,
    status.toUpperCase(),
    pid,
    String(keys.length),
    String(Object.keys(devices).length),
    created_at.slice(0, 19).replace('T', ' '),
  ];
}

import { type Command, Option } from 'commander';
import { allOptions, type OptionDeclaration, optionDeclarations, variableOf } from '../config/options.js';
import { readSettingsAndFile } from '../config/options-file.js';
import { Service } from '../daemon/service.js';
import { createLog, LogLines } from '../log.js';
import { asDetail } from './help.js';
import { stopSignal } from './stop-signal.js';

/** devlxd serve */
export function addServe(program: Command): void {
  const command = program
    .command('serve')
    .description('run the daemon until it gets SIGTERM or SIGINT')
    .option('--takeover', 'take over from the daemon that runs here, if one does: no guest notices')
    .addHelpText(
      'after',
      `
Examples:
  devlxd serve --takeover         an upgrade by hand: the old one ends
  devlxd serve --run-dir ./run --state-dir ./state --log-level debug
  DEVLXD_RUN_DIR=./run devlxd list        any command finds that daemon`,
    );
  addOptions(command);
  command.action(async () => {
    const read = () => readSettingsAndFile(flagsOf(command));
    const settings = read();
    const lines = new LogLines();
    const log = await createLog(settings.logLevel, settings.logFormat, lines);
    const service = new Service(settings, log, lines, read);
    process.on('SIGHUP', () => service.reload());
    await service.run(command.getOptionValue('takeover') === true, stopSignal);
  });
}

/** The options that --help shows; the manual page has all. */
const shown = ['run-dir', 'state-dir', 'source', 'log-level', 'options-file'];

/** Every option of the daemon, as flags of a command. */
export function addOptions(command: Command): void {
  for (const [name, declaration] of allOptions()) {
    const option = optionOf(name, declaration);
    command.addOption(shown.includes(name) ? option : asDetail(option));
  }
}

export function addOption(command: Command, name: keyof typeof optionDeclarations): void {
  command.addOption(optionOf(name, optionDeclarations[name]));
}

/** Flags by option name, as given on the command line; run-dir may stand before the command. */
export function flagsOf(command: Command): Record<string, string | undefined> {
  const given: Record<string, string | undefined> = {};
  for (const [name] of allOptions()) {
    const key = name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    for (const source of [command, command.parent]) {
      if (source?.getOptionValueSource(key) === 'cli') given[name] ??= source.getOptionValue(key) as string;
    }
  }
  return given;
}

function optionOf(name: string, { kind, default: byDefault, help }: OptionDeclaration): Option {
  const placeholder = typeof kind === 'string' ? kind : 'choice';
  const text = `${help}; default ${byDefault === '' ? 'none' : byDefault} [${variableOf(name)}]`;
  return new Option(`--${name} <${placeholder}>`, text);
}

import type { EventEmitter } from 'node:events';
import type { Argument, Command, Option } from 'commander';
import { version } from '../package-root.js';
import { manualTextOf } from './help.js';
import { print } from './output.js';

/** devlxd man */
export function addMan(program: Command): void {
  program
    .command('man')
    .description('print the manual page')
    .addHelpText('after', '\nExamples:\n  devlxd man | man -l -\n  devlxd man > /usr/local/share/man/man1/devlxd.1')
    .action(() => print(manualPage(program)));
}

/** The manual page of a command line, for man(7). */
export function manualPage(program: Command): string {
  return [
    `.TH DEVLXD 1 "" "devlxd ${version}" "User Commands"`,
    '.SH NAME',
    `devlxd \\- ${roff("LXD's guest API as a daemon of its own")}`,
    '.SH SYNOPSIS',
    '.B devlxd',
    roff('[--run-dir DIR] [--project PROJECT] COMMAND [ARGUMENT...]'),
    '.SH DESCRIPTION',
    roff(program.description()),
    '.SH OPTIONS',
    ...optionsOf(program),
    '.SH COMMANDS',
    ...visibleCommands(program).flatMap((command) => commandLines(command, '')),
    ...examplesOf(program, '.SH EXAMPLES'),
    '.SH EXIT STATUS',
    roff(
      '0: done. 1: it did not work; one sentence on standard error says why. 2: the command line is wrong. 3: devlxd apply --dry-run has found something to change.',
    ),
    '.SH ENVIRONMENT',
    roff(
      'Each option of devlxd serve is an environment variable as well: --run-dir is DEVLXD_RUN_DIR. DEVLXD_PROJECT is the project that is meant.',
    ),
    '.SH FILES',
    ...tagged('/run/devlxd/control.sock', 'for operators'),
    ...tagged('/run/devlxd/guest/sock', 'for guests, which see it as /dev/lxd/sock'),
    ...tagged('/var/lib/devlxd', 'the store, and the images'),
    ...tagged('/etc/devlxd/devlxd.env', 'the options of devlxd as systemd starts it; SIGHUP has them read again'),
    '.SH SEE ALSO',
    '.BR lxc (1)',
  ].join('\n');
}

function commandLines(command: Command, parents: string): string[] {
  const name = `${parents}${command.name()}`;
  const commands = visibleCommands(command);
  if (commands.length > 0) return commands.flatMap((inner) => commandLines(inner, `${name} `));
  const words = ['devlxd', name, ...command.registeredArguments.map(argumentWord)];
  const hasOptions = command.options.some(({ hidden }) => !hidden);
  return [
    `.SS ${roff([...words, ...(hasOptions ? ['[OPTION...]'] : [])].join(' '))}`,
    roff(sentence(command.description())),
    ...optionsOf(command),
    ...examplesOf(command, '.PP'),
  ];
}

function visibleCommands({ commands }: Command): Command[] {
  return commands.filter((command) => !('_hidden' in command && command._hidden));
}

function argumentWord(argument: Argument): string {
  const name = `${argument.name().toUpperCase()}${argument.variadic ? '...' : ''}`;
  return argument.required ? name : `[${name}]`;
}

function optionsOf({ options }: Command): string[] {
  return options.filter(({ hidden }) => !hidden).flatMap((option) => tagged(option.flags, optionText(option)));
}

function optionText({ description, argChoices, defaultValue, long }: Option): string {
  // What the run directory is by default depends on the user; docs/options.md says so.
  const byDefault = defaultValue === undefined || long === '--run-dir' ? '' : ` (default: ${String(defaultValue)})`;
  return `${description}${argChoices === undefined ? '' : `: ${argChoices.join(', ')}`}${byDefault}`;
}

/** What --help shows below everything else: commander gives it to listeners of the event. */
function examplesOf(command: Command, heading: string): string[] {
  let text = '';
  (command as unknown as EventEmitter).emit('afterHelp', {
    error: false,
    command,
    write: (more: string) => (text += more),
  });
  text = `${manualTextOf(command)}\n${text}`.trim();
  if (text === '') return [];
  const lines = text.split('\n').map(roff);
  return [heading, '.nf', ...lines, '.fi'];
}

function tagged(tag: string, text: string): string[] {
  return ['.TP', `.B ${roff(tag)}`, roff(text)];
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

// roff makes typographic characters of these; what is typed must be what is read.
const literal: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '~': '\\(ti',
  '^': '\\(ha',
};

/** Text that means nothing to roff; a line must not begin with a control character. */
function roff(text: string): string {
  const escaped = text.replace(/[\\\-'`~^]/g, (character) => literal[character] ?? character);
  return escaped.startsWith('.') ? `\\&${escaped}` : escaped;
}

import { type Command, Help, type Option } from 'commander';

/** Of a terminal that is not asked, or is none. */
const usualWidth = 80;

const base = Help.prototype;

/** Options that --help leaves to the manual page, so that it fits on a terminal of 24 lines. */
const details = new WeakSet<Option>();

export function asDetail(option: Option): Option {
  details.add(option);
  return option;
}

/** What the manual page says of a command beside its --help. */
const moreOf = new WeakMap<Command, string>();

export function addManualText(command: Command, text: string): void {
  moreOf.set(command, text);
}

export function manualTextOf(command: Command): string {
  return moreOf.get(command) ?? '';
}

/** --help of all commands: commander's, but short. */
export const shortHelp: Partial<Help> = {
  visibleOptions: (command) => base.visibleOptions.call(new Help(), command).filter((option) => !details.has(option)),
  // The name of the variable is in the manual page.
  optionDescription: (option) => base.optionDescription.call(new Help(), option).replace(/ \[DEVLXD_\w+\]/, ''),
  subcommandTerm: (command) => command.name(),
  formatHelp: (command, helper) => {
    if (command.parent !== null)
      return `${base.formatHelp.call(helper, command, helper).trimEnd()}${othersOf(command)}\n`;
    const grouped = Object.assign(Object.create(helper) as Help, { visibleCommands: () => [] });
    return `${base.formatHelp.call(grouped, command, grouped).trimEnd()}\n\n${commandGroups}\n`;
  },
};

/** Of the program: all commands with a line or two each would not fit. A test holds that none is missing. */
export const commandGroups = `Commands, each with its own --help; "devlxd man" has all of it:
  instances  list, show, create, set, unset, device, start, stop, delete, apply
  the rest   profile, image, identity, backup, restore, fleet
  daemon     serve, check, top, monitor, source, demo
  programs   hook, completion, man, help`;

function othersOf(command: Command): string {
  const more = command.options.some((option) => details.has(option))
    ? '\nAll options: devlxd man, docs/options.md'
    : '';
  const has = command.options.some(({ long }) => long === '--state-dir');
  return has ? more : `${more}\nGlobal options: --run-dir <dir>, --project <project>; see devlxd --help`;
}

/** The text with its paragraphs wrapped at words: what begins with a space stays a line of its own. */
export function wrapped(text: string, width = process.stdout.columns ?? usualWidth): string {
  const help = new Help();
  return text
    .replace(/(?<=\S)\n(?=[^\s])/g, (end, at: number) => (endsParagraph(text, at) ? end : ' '))
    .split('\n')
    .map((line) => (/^\s/.test(line) ? line : help.boxWrap(line, width)))
    .join('\n');
}

/** A heading, or a line of a list: the next line is none of its own. */
function endsParagraph(text: string, at: number): boolean {
  const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
  return /^\s/.test(line) || /^(?:Usage|Global options|All options|Commands)\b|:$/.test(line);
}

import type { Argument, Command, Option } from 'commander';

export interface Completion {
  readonly word: string;
  readonly about: string;
}

/** The shell completes names of files itself. */
export const files = Symbol('files');

/** Names that only a daemon knows, by what an argument is called. */
export type NamesOf = (kind: 'instance' | 'profile' | 'image') => Promise<readonly string[]>;

const keys: readonly Completion[] = [
  { word: 'user.', about: 'any name; guests read it' },
  { word: 'cloud-init.user-data', about: 'for cloud-init' },
  { word: 'cloud-init.vendor-data', about: 'for cloud-init' },
  { word: 'cloud-init.network-config', about: 'for cloud-init' },
  { word: 'cloud-init.ssh-keys.', about: 'NAME=USER:KEY' },
  { word: 'security.devlxd', about: 'false: guests are refused' },
  { word: 'security.devlxd.images', about: 'true: guests may export images' },
  { word: 'security.devlxd.nested', about: 'false: containers inside it are refused' },
  { word: 'security.devlxd.nonroot', about: 'true: not only root may ask' },
  { word: 'ubuntu_pro.guest_attach', about: 'off, on, available' },
];

/** What may stand in place of the last of the words: commands, options, their values, or names. */
export async function completions(
  program: Command,
  words: readonly string[],
  namesOf: NamesOf,
): Promise<readonly Completion[] | typeof files> {
  const current = words.at(-1) ?? '';
  const { command, rest, pending } = position(program, words.slice(0, -1));
  const found = await candidates(command, rest, pending, current, namesOf);
  return found === files ? files : found.filter(({ word }) => word.startsWith(current));
}

async function candidates(
  command: Command,
  rest: number,
  pending: Option | undefined,
  current: string,
  namesOf: NamesOf,
): Promise<readonly Completion[] | typeof files> {
  if (pending !== undefined) return valuesOf(pending, namesOf);
  if (current.startsWith('-')) return optionsOf(command);
  const commands = shown(command.commands);
  if (commands.length > 0) return commands.map((inner) => ({ word: inner.name(), about: inner.description() }));
  return argumentValues(argumentAt(command, rest), namesOf);
}

interface Position {
  readonly command: Command;
  /** how many of its arguments are there */
  readonly rest: number;
  /** an option that waits for its value */
  readonly pending: Option | undefined;
}

/** Where the words lead to. */
function position(program: Command, words: readonly string[]): Position {
  const start: Position = { command: program, rest: 0, pending: undefined };
  return words.reduce((at, word) => (word.startsWith('-') ? afterOption(at, word) : afterWord(at, word)), start);
}

function afterOption(at: Position, word: string): Position {
  const option = allOptions(at.command).find(({ short, long }) => word === short || word === long);
  return { ...at, pending: option?.required ? option : undefined };
}

function afterWord({ command, rest, pending }: Position, word: string): Position {
  if (pending !== undefined) return { command, rest, pending: pending.variadic ? pending : undefined };
  const inner = shown(command.commands).find((each) => each.name() === word);
  if (inner === undefined) return { command, rest: rest + 1, pending };
  return { command: inner, rest, pending };
}

function optionsOf(command: Command): Completion[] {
  const options = allOptions(command).filter(({ hidden }) => !hidden);
  return [
    ...options.map(({ long, description }) => ({ word: long ?? '', about: description })),
    { word: '--help', about: 'show what can be said here' },
  ];
}

async function valuesOf({ argChoices, flags }: Option, namesOf: NamesOf) {
  if (argChoices !== undefined) return argChoices.map((word) => ({ word, about: '' }));
  if (flags.includes('<type...>')) return ['lifecycle', 'operation', 'logging'].map((word) => ({ word, about: '' }));
  if (/<(dir|file|path)>/.test(flags)) return files;
  return flags.includes('<instance') ? named(await namesOf('instance')) : [];
}

async function argumentValues(argument: Argument | undefined, namesOf: NamesOf) {
  const name = argument?.name() ?? '';
  if (argument?.argChoices !== undefined) return argument.argChoices.map((word) => ({ word, about: '' }));
  if (name === 'instance' || name === 'profile') return named(await namesOf(name));
  if (name === 'fingerprint') return named(await namesOf('image'));
  if (name === 'key') return keys;
  if (name === 'key=value')
    return keys.map(({ word, about }) => ({ word: word.endsWith('.') ? word : `${word}=`, about }));
  return name === 'file' || name === 'rootfs' ? files : [];
}

/** The last argument may stand there several times. */
function argumentAt({ registeredArguments }: Command, index: number): Argument | undefined {
  const last = registeredArguments.at(-1);
  return registeredArguments[index] ?? (last?.variadic ? last : undefined);
}

function allOptions(command: Command): Option[] {
  return [...command.options, ...(command.parent === null ? [] : allOptions(command.parent))];
}

function shown(commands: readonly Command[]): Command[] {
  return commands.filter((command) => !('_hidden' in command && command._hidden));
}

function named(names: readonly string[]): Completion[] {
  return names.map((word) => ({ word, about: '' }));
}

import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { closestMatch } from '../closest-match.js';
import { allOptions, OptionError, readSettings, type Settings, variableOf } from './options.js';

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Flags win over the environment, which wins over the file of options that one of them names, which wins over the
 * defaults. flags: by option name, as given.
 * @throws OptionError
 */
export function readSettingsAndFile(flags: Variables, environment: Variables = process.env): Settings {
  const settings = readSettings(flags, environment);
  if (settings.optionsFile === '') return settings;
  return readSettings(flags, { ...variablesIn(settings.optionsFile), ...environment });
}

/** A comment, nothing, or one variable. What is none of these, parseEnv leaves out, or takes for a part of the next. */
const lineForm = /^(\s*(#.*)?|\w+\s*=.*)$/;

function variablesIn(file: string): Variables {
  const text = textOf(file);
  const lines = text.split(/\r?\n/);
  const odd = lines.findIndex((line) => !lineForm.test(line));
  if (odd >= 0) throw new OptionError(`${file}, line ${odd + 1}: "${lines[odd]}" is not of the form VARIABLE=value.`);
  const variables = parseEnv(text);
  for (const name of Object.keys(variables)) checkName(file, name);
  return variables;
}

function checkName(file: string, name: string): void {
  const known = allOptions().map(([option]) => variableOf(option));
  const itself = variableOf('options-file');
  if (name === itself) throw new OptionError(`${file}: ${itself} has no meaning inside the file that it names.`);
  if (known.includes(name)) return;
  const meant = closestMatch(name, known);
  throw new OptionError(`${file}: there is no option ${name}${meant === undefined ? '.' : `; do you mean ${meant}?`}`);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'it does not exist; an empty one would do' : message;
    throw new OptionError(`The file of options ${file} cannot be read: ${reason}.`);
  }
}

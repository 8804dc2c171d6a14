// --help of every command: a page of 24 lines, wrapped at words, with an example; the manual page keeps all.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { commandGroups, wrapped } from '../src/cli/help.js';
import { manualPage } from '../src/cli/man.js';
import { programFor } from '../src/cli/program.js';
import { optionDeclarations } from '../src/config/options.js';
import { packageRoot } from '../src/package-root.js';

const program = await programFor([]);
const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
const commands = all(program).filter((command) => command.name() !== 'complete');
const nameOf = (command: Command): string =>
  command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (more) => (text += more), getOutHelpWidth: () => 80 });
  command.outputHelp();
  return wrapped(text, 80).trimEnd();
}

/** What is wrong with a page. */
function problems(name: string, text: string): string[] {
  const lines = text.split('\n');
  return [
    ...(lines.length > 24 ? [`${name}: ${lines.length} lines`] : []),
    ...lines.filter((line) => line.length > 80).map((line) => `${name}: ${line}`),
    ...(/^Examples?:\n {2}\S/m.test(text) ? [] : [`${name}: no example`]),
  ];
}

test('--help of every command is a page of 24 lines of 80 columns, with an example', () => {
  assert.ok(commands.length >= 30);
  assert.deepEqual(
    commands.flatMap((command) => problems(nameOf(command), helpOf(command))),
    [],
  );
});

test('and so is that of the hook', () => {
  const { stdout } = spawnSync(join(packageRoot, 'bin/devlxd-hook'), ['--help'], { encoding: 'utf8' });
  assert.deepEqual(problems('devlxd-hook', stdout.trimEnd()), []);
});

test('a word is never broken, and every word of the text is still there', () => {
  const text = `\n${'what the file names is made so and '.repeat(9)}ends.\nAnother line.\n\nExamples:\n  one line\n`;
  for (const width of [40, 57, 80, 200]) {
    const result = wrapped(text, width);
    assert.deepEqual(result.split(/\s+/), text.split(/\s+/));
    for (const line of result.split('\n')) assert.ok(line.length <= width);
    assert.match(result, /\nExamples:\n {2}one line\n$/);
  }
});

test('the groups of the program name every command', () => {
  const named = commandGroups
    .split('\n')
    .slice(1)
    .flatMap((line) => line.slice(13).split(', '));
  const commands = program.commands.map((command) => command.name()).filter((name) => name !== 'complete');
  assert.deepEqual(named.sort(), [...commands, 'help'].sort());
});

test('the manual page has what --help leaves out', () => {
  const page = manualPage(program).replaceAll('\\-', '-');
  for (const name of Object.keys(optionDeclarations)) assert.ok(page.includes(`--${name} `), name);
  for (const sentence of ['NDJSON has one of them a line', 'devices: {data:', '[DEVLXD_STATE_DIR]'])
    assert.ok(page.includes(sentence), sentence);
});

import { Argument, type Command } from 'commander';
import { completionScripts } from './completion-scripts.js';
import { completions, files } from './completions.js';
import { print } from './output.js';
import { withClient } from './with-client.js';

/** devlxd completion, and the hidden devlxd complete that its scripts ask. */
export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print what lets a shell complete commands, options and names with TAB')
    .addArgument(new Argument('<shell>', 'which one').choices(Object.keys(completionScripts)))
    .addHelpText(
      'after',
      `
Examples:
  . <(devlxd completion bash)
  devlxd completion bash > /etc/bash_completion.d/devlxd
  devlxd completion zsh > "\${fpath[1]}/_devlxd"
  devlxd completion fish > ~/.config/fish/completions/devlxd.fish`,
    )
    .action((shell: keyof typeof completionScripts) => print(completionScripts[shell]));
  const complete = program
    .command('complete', { hidden: true })
    .argument('[words...]', 'of the command line, up to the one that is being written')
    .helpOption(false);
  complete.action(async (words: string[]) => {
    const runDir = words[words.indexOf('--run-dir') + 1];
    if (words.includes('--run-dir') && runDir) program.setOptionValue('runDir', runDir);
    const found = await completions(program, words, (kind) => namesOf(complete, kind));
    print(found === files ? ':files' : found.map(({ word, about }) => `${word}\t${about}`).join('\n'));
  });
}

/** Names that the daemon knows; none, when there is no daemon. */
function namesOf(command: Command, kind: 'instance' | 'profile' | 'image'): Promise<string[]> {
  return withClient(command, async ({ instances, profiles, images }) => {
    if (kind === 'image') return (await images.list()).map(({ fingerprint }) => fingerprint.slice(0, 12));
    return (await (kind === 'instance' ? instances : profiles).list()).map(({ name }) => name);
  }).catch(() => []);
}

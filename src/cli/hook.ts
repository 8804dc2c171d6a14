import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Argument, type Command } from 'commander';
import { packageRoot } from '../package-root.js';

/** devlxd hook: bin/devlxd runs the same before it loads anything; here it is for --help, completion and the manual. */
export function addHook(program: Command): void {
  const command = program
    .command('hook')
    .description(
      'what runtimes call, to register containers and virtual machines; "devlxd hook --help" has its options',
    )
    .addArgument(new Argument('<runtime>', 'which one calls').choices(['lxc', 'oci', 'nspawn', 'libvirt', 'vm']))
    .argument('[word...]', 'key=value, or what the runtime is told to say; docs/runtimes.md, docs/vm.md')
    .allowUnknownOption()
    .addHelpText('after', '\nExample:\n  lxc.hook.start-host = /usr/bin/devlxd-hook lxc');
  command.action((runtime: string, words: string[]) => {
    const { status } = spawnSync(join(packageRoot, 'bin/devlxd-hook'), [runtime, ...words], { stdio: 'inherit' });
    process.exitCode = status ?? 1;
  });
}

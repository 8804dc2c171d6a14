import { Command, Option } from 'commander';
import { defaultRunDir } from '../client/host-client.js';
import { optionDeclarations, variableOf } from '../config/options.js';
import { version } from '../package-root.js';
import { addApply } from './apply.js';
import { addBackup } from './backup.js';
import { addCompletion } from './completion.js';
import { addDelete } from './delete.js';
import { addDevice } from './device.js';
import { addFleet } from './fleet.js';
import { asDetail, shortHelp, wrapped } from './help.js';
import { addHook } from './hook.js';
import { addIdentity } from './identity.js';
import { addImage } from './image.js';
import { addList } from './list.js';
import { addMan } from './man.js';
import { addMonitor } from './monitor.js';
import { page } from './output.js';
import { addProfile } from './profile.js';
import { addRestore } from './restore.js';
import { addSet, addUnset } from './set.js';
import { addShow } from './show.js';
import { addSource } from './source.js';
import { addStart, addStop } from './start.js';
import { addTop } from './top.js';

/** Commands that only ask a daemon; others load one, which takes longer than what these do. */
const asking = ['list', 'show', 'set', 'unset', 'create', 'delete', 'device', 'profile', 'image', 'start', 'stop'];
const askingToo = ['monitor', 'top', 'apply', 'backup', 'restore', 'identity', 'source', 'fleet'];

/**
 * The whole command line: --help, completion and the manual page all come from it. words: what stands on it; where
 * the first is a command that only asks, the others are left out
 */
export async function programFor(words: readonly string[]): Promise<Command> {
  const program = bareProgram();
  const [first = ''] = words;
  const whole = ![...asking, ...askingToo, 'serve'].includes(first);
  if (whole || first === 'serve') (await import('./serve.js')).addServe(program);
  if (whole) (await import('./check.js')).addCheck(program);
  addList(program);
  addShow(program);
  addSet(program);
  addUnset(program);
  addDevice(program);
  addProfile(program);
  addApply(program);
  addImage(program);
  addStart(program);
  addStop(program);
  addDelete(program);
  addMonitor(program);
  addTop(program);
  addBackup(program);
  addRestore(program);
  addIdentity(program);
  addSource(program);
  addFleet(program);
  addHook(program);
  if (whole) (await import('./demo.js')).addDemo(program);
  addCompletion(program);
  addMan(program);
  return program;
}

function bareProgram(): Command {
  const program = new Command('devlxd')
    .description("LXD's guest API as a daemon of its own: each instance reads its own configuration on /dev/lxd/sock")
    .version(version)
    .addOption(
      new Option('--run-dir <dir>', `${optionDeclarations['run-dir'].help} [${variableOf('run-dir')}]`).default(
        defaultRunDir(),
      ),
    )
    .addOption(
      new Option('--project <project>', 'of the instances and profiles that are meant [DEVLXD_PROJECT]').default(
        process.env['DEVLXD_PROJECT'] || 'default',
      ),
    )
    .addOption(
      new Option('--fleet <endpoints>', "members of a fleet's etcd, HOST:PORT,... [DEVLXD_FLEET]").default(
        process.env['DEVLXD_FLEET'] ?? '',
        'none',
      ),
    )
    .configureHelp(shortHelp)
    .configureOutput({ writeOut: (text) => page(wrapped(text)) })
    .addHelpText(
      'after',
      `
Examples:
  devlxd create web1 user.role=web && devlxd start web1 --pid 4711
  devlxd set web1 user.role=db            its guest gets an event
  devlxd apply -f host.yaml               make it what a file says`,
    )
    .exitOverride();
  for (const option of etcdOptions()) program.addOption(asDetail(option));
  return program;
}

/** How the etcd of --fleet is reached. */
function etcdOptions(): Option[] {
  return (['etcd-prefix', 'etcd-ca', 'etcd-cert', 'etcd-key'] as const).map((name) => {
    const { help, kind, default: byDefault } = optionDeclarations[name];
    const option = new Option(`--${name} <${kind}>`, `of --fleet: ${help} [${variableOf(name)}]`);
    return option.default(process.env[variableOf(name)] || byDefault);
  });
}

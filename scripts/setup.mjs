// All the set-up there is: dependencies, the addon and the tools in C++, TypeScript. Each step runs only when what it
// is made from has changed, so a second run costs a fraction of a second.
// No dependency but Node: it runs before there is any.
//   node scripts/setup.mjs [start | package | install | core | pack | build] [--force]
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { unsupported } from '../bin/supported-node.mjs';
import { Progress } from './setup/progress.mjs';
import { digestOf, isDone, markDone } from './setup/stamp.mjs';
import { addon, dependencies, removeForeign, sqlite, targetsFor, typeScript } from './setup/steps.mjs';

const root = resolve(import.meta.dirname, '..');
const force = process.argv.includes('--force');
const purpose = process.argv.slice(2).find((word) => word in targetsFor) ?? 'build';
const isCheckout = existsSync(join(root, 'src'));
const progress = new Progress();

const refusal = unsupported();
if (refusal !== undefined) fail(refusal);

if (purpose === 'install') {
  // As npm installs the package, whose dependencies are there. A checkout is set up by its commands instead.
  if (!isCheckout) {
    requireCompiler();
    removeForeign();
    await together([sqliteOfNpm(), addon(purpose)]);
  }
} else if (purpose === 'pack') {
  await together([dependencies()]);
  await together([typeScript()]);
} else {
  await together([dependencies()]);
  await together([sqlite(), addon(purpose), typeScript()]);
}

/** Runs what is to be done of these steps beside each other. */
async function together(steps) {
  const open = steps
    .filter((step) => step !== undefined)
    .map((step) => ({ ...step, digest: digestOf(root, step) }))
    .filter((step) => force || !isDone(root, step, step.digest));
  if (open.length === 0) return;
  if (open.some(({ name }) => name === 'SQLite' || name === 'addon' || name === 'dependencies')) requireCompiler();
  const failures = (await Promise.all(open.map(run))).filter((failure) => failure !== undefined);
  for (const { output } of failures) process.stderr.write(`\n${output.split('\n').slice(-30).join('\n')}\n`);
  if (failures.length > 0) fail(`"${failures[0].command}" failed; its output stands above.`);
}

/** npm may have compiled it, fetched it, or left it out, as it does with what is optional and fails. */
function sqliteOfNpm() {
  try {
    const step = sqlite();
    return step?.products.every((product) => existsSync(join(root, product))) ? undefined : step;
  } catch {
    return fail('better-sqlite3 is missing, which Node 20 needs: install without --omit=optional.');
  }
}

/** Before anything long is begun. */
function requireCompiler() {
  const tools = ['g++', 'make', 'python3'];
  const missing = tools.filter((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error);
  if (missing.length > 0)
    fail(
      `${missing.join(' and ')} missing, which the addon is compiled with; on Debian: apt-get install ${tools.join(' ')}`,
    );
}

/** What failed of a step, or undefined. */
async function run(step) {
  progress.begin(step.name, step.why);
  step.before?.();
  for (const words of step.commands()) {
    const output = await outputOfFailed(words, () => progress.compiled(step.name));
    if (output === undefined) continue;
    progress.end(step.name, 'failed');
    return { command: words.join(' '), output };
  }
  step.after?.();
  markDone(root, step, step.digest);
  progress.end(step.name, 'done');
  return undefined;
}

/** compiled: called for each file that make says it compiles */
function outputOfFailed([command, ...args], compiled) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = [];
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        if (/^ +(CC|CXX)\(target\)/.test(line)) compiled();
      });
    child.on('error', (error) => resolve(String(error)));
    child.on('close', (status) => resolve(status === 0 ? undefined : lines.join('\n')));
  });
}

/** Node's own headers where they are installed beside it; else node-gyp fetches them. */
function environment() {
  const prefix = resolve(dirname(process.execPath), '..');
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? { npm_config_nodedir: prefix } : {};
  return { ...process.env, ...headers };
}

function fail(sentence) {
  process.stderr.write(`setup: ${sentence}\n`);
  process.exit(1);
}

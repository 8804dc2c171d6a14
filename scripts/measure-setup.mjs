// How long a newcomer waits: `npm start` in a fresh clone, without ccache, until a guest of the demo has its first answer;
// the processor time of all of it, what it leaves on the disk, and the second start. With --against beside an earlier
// commit, in turns. With --root in a root directory that test:platforms has made, and with the Node there.
//   npm run bench:setup -- [--against COMMIT] [--rounds N] [--empty-cache] [--root DIR [--node PATH]]
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { must, remove, run, scratch, start } from './children.mjs';

const project = resolve(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    against: { type: 'string' },
    rounds: { type: 'string', default: '1' },
    'empty-cache': { type: 'boolean', default: false },
    root: { type: 'string', default: '/' },
    node: { type: 'string', default: process.execPath },
  },
});
const inRoot = values.root !== '/';
const enter = inRoot ? [join(project, 'scripts/enter-root.sh'), values.root] : [];
const minutes = 20;
const certificates = process.env.NODE_EXTRA_CA_CERTS; // a proxy's, in front of the registry

if (inRoot) await bringNpm();
const sides = ['HEAD', ...(values.against === undefined ? [] : [values.against])];
const measured = new Map(sides.map((side) => [side, []]));
for (let round = 0; round < Number(values.rounds); round++)
  for (const side of sides) {
    const result = await measure(side);
    measured.get(side).push(result);
    process.stdout.write(`${side}: ${text(result)}\n`);
  }
process.stdout.write(
  `\nmedians of ${values.rounds}, ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}\n`,
);
for (const side of sides) process.stdout.write(`${side}: ${text(median(side))}\n`);
const [now, before] = sides.map(median);
if (before !== undefined)
  process.stdout.write(
    `HEAD / ${values.against}: first answer ${(now.first / before.first).toFixed(2)}, processor ${(now.cpu / before.cpu).toFixed(2)}\n`,
  );

async function measure(side) {
  const parent = inRoot ? join(values.root, 'srv') : tmpdir();
  const clone = scratch(join(parent, 'devlxd-setup-'));
  await must('git', ['clone', '-q', project, clone]);
  const { stdout: commit } = await must('git', ['rev-parse', side], { cwd: project });
  await must('git', ['checkout', '-q', commit.trim()], { cwd: clone });
  const { seconds: first, cpu } = await started(clone);
  const { stdout: size } = await run('du', ['-sm', '--exclude=.git', '--exclude=.npm', clone]);
  const { seconds: second } = await started(clone);
  remove(clone);
  return { first, cpu, disk: Number.parseInt(size, 10), second };
}

/** Until the first answer; then it is ended, which says what processor time it has used. */
async function started(clone) {
  const at = inRoot ? clone.slice(values.root.length).replace(/^\/*/, '/') : clone;
  const environment = [
    'CCACHE_DISABLE=1',
    `PATH=${dirname(values.node)}:${inRoot ? '/opt/npm-bin:/usr/bin:/bin' : process.env.PATH}`,
    ...(certificates === undefined ? [] : [`NODE_EXTRA_CA_CERTS=${inRoot ? '/opt/certificates.pem' : certificates}`]),
    ...(values['empty-cache'] ? [`npm_config_cache=${at}/.npm`] : []),
  ];
  const script = 'cd "$0" && trap : INT && npm start; times';
  const [command, ...words] = [...enter, 'env', ...environment, 'sh', '-c', script, at];
  const began = Date.now();
  const child = start(command, words);
  const timer = setTimeout(() => child.signal('SIGKILL'), minutes * 60_000);
  let seconds;
  let output = '';
  for (const stream of [child.process.stdout, child.process.stderr])
    stream.on('data', (piece) => {
      output += piece;
      if (seconds !== undefined || !/^demo\d \| GET \/1\.0 /m.test(output)) return;
      seconds = (Date.now() - began) / 1000;
      child.signal('SIGINT');
    });
  await child.ended;
  clearTimeout(timer);
  const used = [...(output.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  if (seconds === undefined || used.length !== 2) throw new Error(`no answer of a guest:\n${output}`);
  return { seconds, cpu: used.reduce((sum, [, whole, rest]) => sum + Number(whole) * 60 + Number(rest), 0) };
}

/** That of this host: it is JavaScript, and Debian's would bring 400 packages. */
async function bringNpm() {
  const [npm, bin] = ['opt/npm', 'opt/npm-bin'].map((name) => join(values.root, name));
  if (certificates !== undefined) cpSync(certificates, join(values.root, 'opt/certificates.pem'));
  if (existsSync(bin)) return;
  const { stdout } = await must('npm', ['root', '--global']);
  cpSync(join(stdout.trim(), 'npm'), npm, { recursive: true });
  mkdirSync(bin);
  symlinkSync('../npm/bin/npm-cli.js', join(bin, 'npm'));
}

function median(side) {
  const middle = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
  return Object.fromEntries(
    ['first', 'cpu', 'disk', 'second'].map((what) => [what, middle(measured.get(side).map((each) => each[what]))]),
  );
}

function text({ first, cpu, disk, second }) {
  return `first answer after ${first.toFixed(1)} s, ${cpu.toFixed(1)} s of processor time, ${disk} MB; second start ${second.toFixed(2)} s`;
}

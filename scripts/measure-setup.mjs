// How long a newcomer waits: `npm start` in a fresh clone, without ccache, until a guest of the demo has its first answer;
// the processor time of all of it, what it leaves on the disk, and the second start. With --against beside an earlier
// commit, in turns. With --root in a root directory that test:platforms has made, and with the Node there.
//   npm run bench:setup -- [--against COMMIT] [--rounds N] [--empty-cache] [--root DIR [--node PATH]]
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

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

if (inRoot) bringNpm();
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
  const clone = mkdtempSync(join(parent, 'devlxd-setup-'));
  try {
    done(spawnSync('git', ['clone', '-q', project, clone], { encoding: 'utf8' }));
    const commit = done(spawnSync('git', ['rev-parse', side], { cwd: project, encoding: 'utf8' })).stdout.trim();
    done(spawnSync('git', ['checkout', '-q', commit], { cwd: clone, encoding: 'utf8' }));
    const { seconds: first, cpu } = await started(clone);
    const { stdout: size } = spawnSync('du', ['-sm', '--exclude=.git', '--exclude=.npm', clone], { encoding: 'utf8' });
    const { seconds: second } = await started(clone);
    return { first, cpu, disk: Number.parseInt(size, 10), second };
  } finally {
    rmSync(clone, { recursive: true, force: true });
  }
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
  const child = spawn(command, words, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), minutes * 60_000);
  let seconds;
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (piece) => {
      output += piece;
      if (seconds !== undefined || !/^demo\d \| GET \/1\.0 /m.test(output)) return;
      seconds = (Date.now() - began) / 1000;
      process.kill(-child.pid, 'SIGINT');
    });
  await new Promise((ended) => child.on('close', ended));
  clearTimeout(timer);
  const used = [...(output.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  if (seconds === undefined || used.length !== 2) throw new Error(`no answer of a guest:\n${output}`);
  return { seconds, cpu: used.reduce((sum, [, whole, rest]) => sum + Number(whole) * 60 + Number(rest), 0) };
}

/** That of this host: it is JavaScript, and Debian's would bring 400 packages. */
function bringNpm() {
  const [npm, bin] = ['opt/npm', 'opt/npm-bin'].map((name) => join(values.root, name));
  if (certificates !== undefined) cpSync(certificates, join(values.root, 'opt/certificates.pem'));
  if (existsSync(bin)) return;
  const { stdout } = done(spawnSync('npm', ['root', '--global'], { encoding: 'utf8' }));
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

function done(ran) {
  if (ran.status !== 0) throw new Error(`${ran.stdout}${ran.stderr}`);
  return ran;
}

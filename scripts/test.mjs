// Runs tests with node:test: test/**/*.test.ts, compiled. Words on the command line choose files whose name contains
// one of them, where names begin with "./"; options are Node's. Without words: all, those of unit/ in one process, but
// the parts, which bring up real servers, machines and systems, and have scripts of their own in package.json.
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { start } from './children.mjs';

const root = resolve(import.meta.dirname, '..');
const words = process.argv.slice(2);
const wanted = words.filter((word) => !word.startsWith('--'));
const parts = ['clients', 'fleet', 'incus', 'lxd', 'operators', 'packages', 'vm'];
const runsAlone = (name) => ![...parts, 'unit'].some((part) => name.startsWith(`${part}/`));
const compiled = readdirSync(join(root, 'dist/test'), { recursive: true }).filter((name) => name.endsWith('.test.js'));
const chosen =
  wanted.length === 0
    ? ['all-units.js', ...compiled.filter(runsAlone)]
    : compiled.filter((name) => wanted.some((word) => `./${name}`.includes(word)));
const files = chosen.map((name) => join('dist/test', name)).sort();
if (files.length === 0) {
  process.stderr.write(`No test file has ${wanted.join(' or ')} in its name.\n`);
  process.exit(1);
}
if (wanted.length === 0)
  process.stdout.write(
    '# Parts run by themselves, as .ci/run does: npm run test:clients, test:fleet, test:packages, test:servers, test:vm\n',
  );
// Most tests wait for processes a good part of their time.
const lanes = availableParallelism() + 2;
const options = ['--test', '--enable-source-maps', `--test-concurrency=${lanes}`, '--test-timeout=300000'];
const given = words.filter((word) => word.startsWith('--'));
const tests = start(process.execPath, [...options, ...given, ...files], { cwd: root, stdio: 'inherit' });
const { status } = await tests.ended;
process.exit(status ?? 1);

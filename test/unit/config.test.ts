import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { allOptions, OptionError, readSettings, variableOf } from '../../src/config/options.js';
import { readSettingsAndFile } from '../../src/config/options-file.js';
import { faults } from '../../src/errors.js';
import { limitDeclarations } from '../../src/limits/limits.js';
import { packageRoot } from '../../src/package-root.js';

test('flags win over the environment, which wins over the defaults', () => {
  assert.equal(readSettings({}, {}).backlog, 4096);
  assert.equal(readSettings({}, { DEVLXD_BACKLOG: '7' }).backlog, 7);
  assert.equal(readSettings({ backlog: '9' }, { DEVLXD_BACKLOG: '7' }).backlog, 9);
  assert.equal(readSettings({}, { DEVLXD_LIMIT_HOLD_SECONDS: '1' }).limits['hold-seconds'], 1);
});

test('a value that cannot be understood names its option and its variable', () => {
  const wrong: [Record<string, string>, RegExp][] = [
    [{ backlog: 'many' }, /--backlog \(DEVLXD_BACKLOG\) takes a whole number/],
    [{ identity: 'guess' }, /--identity \(DEVLXD_IDENTITY\) takes one of auto, pidfd-ioctl/],
    [{ 'limit-pending-callers': '-1' }, /--limit-pending-callers/],
    [{ 'run-dir': '' }, /--run-dir .* takes a directory/],
  ];
  for (const [flags, message] of wrong) {
    assert.throws(
      () => readSettings(flags, {}),
      (error) => error instanceof OptionError && message.test(error.message),
    );
  }
});

test('a source is a daemon, and where it is asked', () => {
  const sources: [string, unknown][] = [
    ['', undefined],
    ['lxd', { name: 'lxd', socketPath: '/var/lib/lxd/unix.socket' }],
    ['lxd:/s', { name: 'lxd', socketPath: '/s' }],
    ['incus', { name: 'incus', socketPath: '/var/lib/incus/unix.socket' }],
    ['incus:/s', { name: 'incus', socketPath: '/s' }],
  ];
  for (const [text, source] of sources) assert.deepEqual(readSettings({ source: text }, {}).source, source);
  for (const wrong of ['lxc', 'lxd:', 'lxd:s', 'incus,lxd', 'LXD']) {
    assert.throws(() => readSettings({ source: wrong }, {}), /--source \(DEVLXD_SOURCE\) takes lxd, incus, /);
  }
});

/** Reads the settings with a file of options of this text. */
function readerOf(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-options-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'devlxd.env');
  return (text: string, flags = {}, environment = {}) => {
    writeFileSync(file, text);
    return readSettingsAndFile({ 'options-file': file, ...flags }, environment);
  };
}

test('the file of options wins over the defaults, and nothing else', (t) => {
  const read = readerOf(t);
  const text = '# more\n\nDEVLXD_BACKLOG=7\r\nDEVLXD_LIMIT_PENDING_CALLERS = "3" # few\nDEVLXD_LOG_LEVEL=warn';
  const { backlog, limits, logLevel } = read(text);
  assert.deepEqual([backlog, limits['pending-callers'], logLevel], [7, 3, 'warn']);
  assert.equal(read(text, {}, { DEVLXD_BACKLOG: '8' }).backlog, 8);
  assert.equal(read(text, { backlog: '9' }, { DEVLXD_BACKLOG: '8' }).backlog, 9);
  assert.equal(read('').backlog, 4096);
  const { optionsFile } = read('DEVLXD_BACKLOG=7');
  assert.equal(readSettingsAndFile({}, { DEVLXD_OPTIONS_FILE: optionsFile }).backlog, 7);
});

test('what is wrong in the file of options is named', (t) => {
  const read = readerOf(t);
  const wrong: [string, RegExp][] = [
    ['DEVLXD_LOG_LEVLE=debug', /devlxd\.env: there is no option DEVLXD_LOG_LEVLE; do you mean DEVLXD_LOG_LEVEL\?$/],
    ['LIMITS=0', /there is no option LIMITS\.$/],
    ['DEVLXD_OPTIONS_FILE=/x', /DEVLXD_OPTIONS_FILE has no meaning inside the file/],
    ['\nDEVLXD_LOG_LEVEL debug\nDEVLXD_BACKLOG=7', /devlxd\.env, line 2: "DEVLXD_LOG_LEVEL debug" is not of the form/],
    ['=7\nDEVLXD_BACKLOG=7', /line 1: "=7" is not of the form/],
    ['export DEVLXD_BACKLOG=7', /line 1/],
    ['DEVLXD_BACKLOG=many', /--backlog \(DEVLXD_BACKLOG\) takes a whole number/],
    ['DEVLXD_LOG_LEVEL="debug\nDEVLXD_BACKLOG="7', /--log-level \(DEVLXD_LOG_LEVEL\) takes one of/],
  ];
  for (const [text, message] of wrong)
    assert.throws(
      () => read(text),
      (error) => error instanceof OptionError && message.test(error.message),
      text,
    );
  assert.throws(
    () => readSettingsAndFile({ 'options-file': '/nowhere/devlxd.env' }, {}),
    /The file of options \/nowhere\/devlxd\.env cannot be read: it does not exist; an empty one would do\.$/,
  );
  assert.throws(() => readSettingsAndFile({ 'options-file': '/' }, {}), /\/ cannot be read: EISDIR/);
});

function page(name: string): string {
  return readFileSync(join(packageRoot, 'docs', name), 'utf8');
}

test('every option, limit and fault has its line in the documentation', () => {
  const options = page('options.md');
  for (const [name] of allOptions())
    assert.ok(options.includes(`\`--${name}\``) && options.includes(variableOf(name)), name);
  const limits = page('limits.md');
  for (const [name, limit] of Object.entries(limitDeclarations)) {
    assert.match(limits, new RegExp(`\\| \`${name}\` \\| ${limit.default} ${limit.unit} \\|`), name);
  }
  const errors = page('errors.md');
  for (const [code, status] of Object.entries(faults)) assert.ok(errors.includes(`| \`${code}\` | ${status} |`), code);
});

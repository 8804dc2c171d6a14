import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { plainYamlIn } from '../../src/apply/plain-yaml.js';
import { anyYamlIn } from '../../src/apply/yaml-text.js';
import { packageRoot } from '../../src/package-root.js';

const plain = `# a host
profiles:
- name: web
  config: {}
instances:
  - name: web1
    description: "the first: #1"
    profiles: [default, web]
    config:
      user.role: web 0644
      user.none:
      user.null: null
      cloud-init.user-data: |
        #cloud-config
        packages: [nginx]

        runcmd:
          - echo "ä"
    devices:
      eth0:
        type: nic
        hwaddr: 00:16:3e:aa:bb:cc

  - name: web2
    profiles:
    - default
    - 'web'
`;

/** What differs little from it: most of it is no longer plain, or is wrong. */
const lines = plain.split('\n');
const pieces = [
  '',
  ' ',
  '  ',
  '- ',
  ': ',
  ':',
  '|',
  '>',
  '|-',
  '"',
  "'",
  '#',
  ' #',
  '{',
  '}',
  '[',
  ']',
  ',',
  '&a',
  '*a',
  '!',
  '~',
].concat([
  'null',
  '---',
  '...',
  '\t',
  '\r',
  '\u0085',
  '\u2028',
  '\ufeff',
  'ä',
  '\\n',
  '<<: ',
  '? ',
  '%',
  '@',
  '`',
  '=',
  '0',
  'x: y',
  '- x',
  '\n',
  '\n\n',
]);
const edit = fc.record({
  line: fc.nat(lines.length - 1),
  column: fc.nat(30),
  removed: fc.nat(4),
  piece: fc.constantFrom(...pieces),
  kind: fc.constantFrom('in', 'in', 'in', 'twice', 'away', 'indent', 'swap'),
});

function edited(edits: readonly (typeof edit extends fc.Arbitrary<infer Edit> ? Edit : never)[]): string {
  const made = [...lines];
  for (const { line, column, removed, piece, kind } of edits) {
    const text = made[line] ?? '';
    if (kind === 'in') made[line] = text.slice(0, column) + piece + text.slice(column + removed);
    else if (kind === 'twice') made.splice(line, 0, text);
    else if (kind === 'away') made.splice(line, 1);
    else if (kind === 'indent') made[line] = ' '.repeat(removed) + text;
    else made.splice(line, 2, made[line + 1] ?? '', text);
  }
  return made.join('\n');
}

test('plain YAML is read as the library reads it', () => {
  assert.notEqual(plainYamlIn(plain), undefined);
  assert.deepEqual(plainYamlIn(plain), anyYamlIn(plain, 'host.yaml'));
  const example = readFileSync(join(packageRoot, 'docs/examples/host.yaml'), 'utf8');
  assert.deepEqual(plainYamlIn(example) ?? anyYamlIn(example, 'host.yaml'), anyYamlIn(example, 'host.yaml'));
});

test('what is read as plain YAML, the library reads and gives the same, whatever is changed in it', () => {
  let read = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      const text = edited(edits);
      const given = plainYamlIn(text);
      if (given === undefined) return;
      read++;
      assert.deepEqual(given, anyYamlIn(text, 'host.yaml'));
    }),
    { numRuns: 500 },
  );
  assert.ok(read > 20, `only ${read} were plain`);
});

test('what is not plain is left to the library', () => {
  for (const text of [
    '',
    'a: b',
    'a: b\n c\n',
    'a: 1\na: 2\n',
    '- - a\n',
    'a: &x b\n',
    'a: |-\n  b\n',
    'a: b # c\n',
    '<<: a\n',
    Array.from({ length: 6000 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join(''),
  ])
    assert.equal(plainYamlIn(text), undefined, JSON.stringify(text.slice(0, 20)));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { changesTo, type Described, differs } from '../../src/apply/difference.js';

const texts = fc.constantFrom('', 'a', 'b');
const keys = fc.constantFrom('user.a', 'user.b', 'volatile.uuid', 'constructor', 'toString');
const config = fc.dictionary(keys, texts, { maxKeys: 4, noNullPrototype: true });
const devices = fc.dictionary(fc.constantFrom('eth0', 'root'), fc.dictionary(fc.constantFrom('type', 'path'), texts), {
  noNullPrototype: true,
});
const described = fc.record(
  { description: texts, profiles: fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }), config, devices },
  { requiredKeys: [] },
);

test('something differs where there are changes to tell, and nowhere else', () => {
  fc.assert(
    fc.property(described, described, (wanted: Described, now: Described) => {
      assert.equal(differs(wanted, now), changesTo(wanted, now).length > 0);
    }),
    { numRuns: 2000 },
  );
});

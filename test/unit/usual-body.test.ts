import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { batchLine, instancePost, instancePut, parseBody } from '../../src/control/request-body.js';
import { batchLineIn, instancePostIn, instancePutIn } from '../../src/control/usual-body.js';

const odd = fc.constantFrom<unknown>(null, 1, true, [], {}, '', 'x', ['x'], { a: 'b' }, { a: 1 }, [1]);
const keys = fc.constantFrom('user.a', 'user.b', '__proto__', 'constructor', '');
const texts = fc.dictionary(keys, fc.oneof({ weight: 6, arbitrary: fc.string() }, odd), { maxKeys: 3 });
const devices = fc.dictionary(keys, fc.oneof({ weight: 6, arbitrary: texts }, odd), { maxKeys: 2 });
const names = fc.array(fc.oneof({ weight: 6, arbitrary: fc.string() }, odd), { maxLength: 3 });
const or = (usual: fc.Arbitrary<unknown>) => fc.oneof({ weight: 8, arbitrary: usual }, odd);
const instances = fc.record(
  {
    ...{ name: or(fc.string()), description: or(fc.string()), config: or(texts), devices: or(devices) },
    ...{
      profiles: or(names),
      type: or(fc.constantFrom('container', 'vm')),
      confg: or(texts),
      newer: odd,
      stateful: odd,
    },
  },
  { requiredKeys: [] },
);
const lines = fc.record(
  {
    method: or(fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE', 'GET')),
    path: or(fc.constantFrom('/1.0/instances', '/1.0/profiles/a', 'instances')),
    ...{ etag: or(fc.string()), body: odd, more: odd },
  },
  { requiredKeys: [] },
);

/** Bodies as JSON gives them, which has an own "__proto__". */
function asSent(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function outcome(read: () => object): unknown {
  try {
    return asSent(read());
  } catch (error) {
    return (error as Error).message;
  }
}

test('what is found to be usual is what the schemas say', () => {
  let usual = 0;
  const check = (arbitrary: fc.Arbitrary<unknown>, quick: (body: unknown) => object, full: (body: unknown) => object) =>
    fc.assert(
      fc.property(arbitrary, (given) => {
        const body = asSent(given);
        const expected = outcome(() => full(body));
        if (typeof expected !== 'string' && quick(body) === body) usual++;
        assert.deepEqual(
          outcome(() => quick(body)),
          expected,
        );
      }),
      { numRuns: 2000 },
    );
  check(instances, instancePostIn, (body) => parseBody(instancePost, body));
  check(fc.oneof(instances, odd), instancePutIn, (body) => parseBody(instancePut, body));
  check(lines, batchLineIn, (line) => parseBody(batchLine, line));
  assert.ok(usual > 100, `${usual}`);
});

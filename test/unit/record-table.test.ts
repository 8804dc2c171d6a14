import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Layer } from '../../src/instances/layer.js';
import { keyOf, Table } from '../../src/instances/record-table.js';

interface Row {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly version: number;
}

const names = ['a', 'b', 'c', 'd', 'e'] as const;
const ids = [1, 2, 3, 4, 5, 6, 7] as const;

/** By id, the name that it has in the end; null: it is removed or never made. */
const wanted = fc
  .uniqueArray(fc.constantFrom(...names), { maxLength: 5 })
  .chain((given) =>
    fc
      .shuffledSubarray([...ids], { minLength: given.length, maxLength: given.length })
      .map((chosen) => chosen.map((id, index) => [id, given[index] as string] as const)),
  );

function rowsOf(pairs: readonly (readonly [number, string])[], version: number): Row[] {
  return pairs.map(([id, name]) => ({ id, project: 'p', name, version }));
}

/** All that can be asked of a table, in the order of ids and names. */
function seen(table: Table<Row>): object {
  const all = [...table.values()].sort((a, b) => a.id - b.id);
  return {
    all,
    byName: names.map((name) => table.get(keyOf('p', name))),
    byId: ids.map((id) => table.byId(id)),
  };
}

function changed(layer: Layer<Row>, before: readonly Row[], after: readonly Row[]): void {
  for (const row of before) layer.remove(row);
  for (const row of after) layer.put(row);
}

test('a commit is seen as a whole from the moment on that it enters, and while it is moved', async () => {
  await fc.assert(
    fc.asyncProperty(wanted, wanted, wanted, async (...versions) => {
      const [first, second, third] = versions.map(rowsOf) as [Row[], Row[], Row[]];
      const table = new Table<Row>('Row');
      for (const row of first) table.load(row);
      const below = new Layer<Row>(table);
      changed(below, first, second);
      const over = new Layer<Row>(below); // of another transaction of the same commit
      changed(over, second, third);
      const before = seen(table);
      assert.deepEqual(before, seen(loaded(first)));
      table.enter(over);
      const after = seen(loaded(third));
      assert.deepEqual(seen(table), after);
      await table.settle({
        end: () => {
          assert.deepEqual(seen(table), after);
          return Promise.resolve();
        },
      });
      assert.deepEqual(seen(table), after);
    }),
  );
});

function loaded(rows: readonly Row[]): Table<Row> {
  const table = new Table<Row>('Row');
  for (const row of rows) table.load(row);
  return table;
}

import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  Changes,
  changesOf,
  DELETE,
  INSERT,
  plainValue,
  UPDATE,
} from '../../src/gate/changeset.ts';

/** A changeset that SQLite made, of every operation and every kind of value. */
function changeset(): Uint8Array {
  const db = new DatabaseSync(':memory:');
  db.exec(
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); CREATE TABLE "u ü" (x TEXT, y INT, z, PRIMARY KEY (y, x)) WITHOUT ROWID',
  );
  db.exec("INSERT INTO t VALUES (1, 'one', 1.5), (2, 'two', NULL), (3, x'', -0.0)");
  const session = db.createSession();
  db.exec(
    "UPDATE t SET a = 'uno' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (-9, zeroblob(300), 'x')",
  );
  db.exec(`INSERT INTO "u ü" VALUES ('key', 5, printf('%.*c', 20000, 'z'))`);
  const bytes = session.changeset();
  session.close();
  db.close();
  return bytes;
}

describe('a changeset of SQLite', () => {
  const bytes = changeset();
  const changes = [...changesOf(bytes)];

  test('is read, change by change', () => {
    const found = changes.map(({ table, operation, before, after }) => ({
      ...{ table: table.name, keys: table.keys, operation },
      ...{ before: before.map(plainValue), after: after.map(plainValue) },
    }));
    const t = { table: 't', keys: [true, false, false] };
    expect(found).toHaveLength(4);
    expect(found).toEqual(
      expect.arrayContaining([
        {
          ...t,
          operation: UPDATE,
          before: [1n, 'one', undefined],
          after: [undefined, 'uno', undefined],
        },
        { ...t, operation: DELETE, before: [2n, 'two', undefined], after: [] },
        { ...t, operation: INSERT, before: [], after: [-9n, undefined, 'x'] },
        {
          ...{ table: 'u ü', keys: [true, true, false], operation: INSERT },
          ...{ before: [], after: ['key', 5n, 'z'.repeat(20000)] },
        },
      ]),
    );
  });

  test('is the same when it is put together again', () => {
    const again = new Changes();
    for (const { table, bytes } of changes) again.add(table.head, bytes);
    expect(Buffer.from(again.bytes()).equals(bytes)).toBe(true);
  });

  test('is refused where it is cut off', () => {
    const whole = new Set([0, bytes.length]);
    let at = 0;
    for (const change of changes) {
      // A head alone, and all up to the end of a change, are whole.
      const start = change.bytes.byteOffset - bytes.byteOffset;
      if (start !== at) whole.add(start);
      at = start + change.bytes.length;
      whole.add(at);
    }
    for (let length = 0; length < 2000; length++) {
      const read = () => [...changesOf(bytes.subarray(0, length))];
      if (whole.has(length)) read();
      else expect(read, `${length} bytes`).toThrow(/malformed changeset at byte \d+ of/);
    }
  });
});

test('bytes of any kind are read to their end or refused, and nothing beyond them is', () => {
  const bytes = changeset().slice(0, 400);
  const altered = fc
    .array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 8 })
    .map((edits) => edits.reduce((copy, [at, byte]) => copy.with(at, byte), bytes));
  fc.assert(
    fc.property(fc.oneof(altered, fc.uint8Array({ maxLength: 60 })), (data) => {
      try {
        for (const change of changesOf(data)) {
          expect(change.before.length + change.after.length).toBeGreaterThan(0);
          expect(change.bytes.byteOffset + change.bytes.length).toBeLessThanOrEqual(
            data.byteOffset + data.length,
          );
        }
      } catch (error) {
        expect((error as Error).message).toMatch(/^malformed changeset at byte \d+ of \d+$/);
      }
    }),
    { numRuns: 3000 },
  );
});

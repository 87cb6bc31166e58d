import { expect, test } from 'vitest';
import { codeName, SqliteError } from '../src/threads/sqlite-error.js';

test.each([
  [0, 'SQLITE_OK'],
  [1, 'SQLITE_ERROR'],
  [5, 'SQLITE_BUSY'],
  [261, 'SQLITE_BUSY_RECOVERY'],
  [517, 'SQLITE_BUSY_SNAPSHOT'],
  [773, 'UNKNOWN_SQLITE_ERROR_773'],
  [516, 'SQLITE_ABORT_ROLLBACK'],
  [256, 'SQLITE_OK_LOAD_PERMANENTLY'],
  [1034, 'SQLITE_IOERR_FSYNC'],
  [8714, 'SQLITE_IOERR_IN_PAGE'],
  [2067, 'SQLITE_CONSTRAINT_UNIQUE'],
  [3091, 'SQLITE_CONSTRAINT_DATATYPE'],
  [1555, 'SQLITE_CONSTRAINT_PRIMARYKEY'],
  [1544, 'SQLITE_READONLY_DIRECTORY'],
  [99, 'UNKNOWN_SQLITE_ERROR_99'],
])('the result code %i is %s', (code, name) => {
  expect(codeName(code)).toBe(name);
});

test('an error is a SqliteError of any copy of the package, and of its own subclass alone', async () => {
  const core = await import('@poolite/core');
  class Special extends SqliteError {}
  const error = new SqliteError('disk I/O error', 'SQLITE_IOERR');
  expect([error instanceof core.SqliteError, error instanceof Special]).toEqual([true, false]);
  expect(new Special('', '') instanceof core.SqliteError).toBe(true);
  expect([new Error('x'), null, {}].map((each) => (each as object) instanceof SqliteError)).toEqual(
    [false, false, false],
  );
  expect(String(error)).toBe('SqliteError: disk I/O error');
});

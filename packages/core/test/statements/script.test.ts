import { describe, expect, it } from 'vitest';
import { controlsTransaction } from '../../src/statements/script.js';

const TRIGGER = `CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN
  UPDATE a SET x = CASE WHEN x > 1 THEN 2 ELSE 3 END;
  DELETE FROM a WHERE x = 'end; commit';
END`;

describe('a script that begins or ends a transaction', () => {
  it.each([
    'BEGIN',
    'INSERT INTO a VALUES (1); COMMIT',
    '/* why */ ; end transaction;',
    'ROLLBACK',
    'ROLLBACK TRANSACTION;',
    `${TRIGGER}; COMMIT;`,
  ])('is found: %s', (script) => {
    expect(controlsTransaction(script)).toBe(true);
  });

  it.each([
    '',
    'INSERT INTO a VALUES (1)',
    'SAVEPOINT s; ROLLBACK TO s; RELEASE s',
    'ROLLBACK TRANSACTION TO SAVEPOINT s',
    "SELECT 'x; COMMIT'; -- ; ROLLBACK",
    'CREATE TABLE "begin" (x); SELECT x AS "end" FROM "begin"',
    TRIGGER,
    `${TRIGGER}; INSERT INTO a VALUES (1);`,
  ])('is not seen in: %s', (script) => {
    expect(controlsTransaction(script)).toBe(false);
  });
});

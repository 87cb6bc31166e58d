import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const require = createRequire(import.meta.url);

/**
 * What this package replaces, or counts on, in TypeORM: none of it is promised to stay as it is.
 * Where a version of TypeORM comes with another text, its tests here must be read again against
 * it, and src/ with them. Then its fingerprint is added.
 */
const KNOWN: Record<string, Record<string, string[]>> = {
  'driver/DriverFactory.js DriverFactory': { create: ['d37747ff833e'] },
  'driver/better-sqlite3/BetterSqlite3Driver.js BetterSqlite3Driver': {
    createDatabaseConnection: ['454b69eb052a'],
    createQueryRunner: ['fdf55197e5bc'],
    loadDependencies: ['aa3cf758de99'],
    disconnect: ['f137d34a4698'],
    afterConnect: ['46cc665b759c'],
    attachDatabases: ['42147575edc7'],
  },
  'driver/better-sqlite3/BetterSqlite3QueryRunner.js BetterSqlite3QueryRunner': {
    query: ['ba2ec9ce612e', '443552f35456'],
    beforeMigration: ['6cdf755f47cf'],
    afterMigration: ['e741fdfc59ba'],
    loadTableRecords: ['71e8dc85f248'],
    loadPragmaRecords: ['f20930d0954b'],
  },
  'driver/sqlite-abstract/AbstractSqliteQueryRunner.js AbstractSqliteQueryRunner': {
    connect: ['c1ae2c5c5b56'],
    release: ['41ed22b9f661'],
    startTransaction: ['113bb29d19b8'],
    commitTransaction: ['99237555f678'],
    rollbackTransaction: ['10f15c195d43'],
    clearDatabase: ['1ed0d826caa9'],
    stream: ['f4fdd243e131'],
  },
  'data-source/DataSource.js DataSource': {
    initialize: ['8a0ac0cc30b7'],
    destroy: ['a11be6a0e7dd'],
    query: ['00b519991bb2'],
    createQueryRunner: ['1e02adbf8a03'],
    defaultReplicationModeForReads: ['4aa629129b28'],
  },
  'entity-manager/EntityManager.js EntityManager': { transaction: ['6343c805c9d8'] },
  'persistence/EntityPersistExecutor.js EntityPersistExecutor': { execute: ['a4b111579019'] },
  'migration/MigrationExecutor.js MigrationExecutor': {
    executePendingMigrations: ['4ad7d96ae30a'],
    undoLastMigration: ['298da321729d'],
  },
  'schema-builder/RdbmsSchemaBuilder.js RdbmsSchemaBuilder': { build: ['4ec613b95477'] },
  'query-builder/SelectQueryBuilder.js SelectQueryBuilder': {
    stream: ['563171005296'],
    obtainQueryRunner: ['2bc7fc20122d'],
  },
  'cache/DbQueryResultCache.js DbQueryResultCache': { storeInCache: ['ca880a101dbe'] },
};

/** Of a function's text, without what formatting and comments change. */
function fingerprint(method: unknown): string {
  const text = String(method)
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    .replace(/\s+/g, '');
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

describe.each(['typeorm', 'typeorm-1.1.0'])('%s', (name) => {
  const folder = require.resolve(name).replace(/[^/\\]+$/, '');
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

  test.each(Object.entries(KNOWN))(
    `${version}: %s is as it was when it was read`,
    (where, methods) => {
      const [file, className = ''] = where.split(' ');
      const { prototype } = require(`${name}/${file}`)[className];
      const found = Object.keys(methods).map((method) => [method, fingerprint(prototype[method])]);
      const changed = found.filter(
        ([method = '', print = '']) => !methods[method]?.includes(print),
      );
      expect(Object.fromEntries(changed), `typeorm ${version} changed these: see KNOWN`).toEqual(
        {},
      );
    },
  );
});

import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { project } from './support/project.ts';

const SOURCE = `new DataSource({
  type: 'better-sqlite3',
  driver: poolite({ readers: 1 }),
  database: 'app.db',
  migrations: ['migrations/*.js'],
  entities: [
    new EntitySchema({
      name: 'Note',
      columns: { id: { type: 'integer', primary: true }, text: { type: 'varchar' } },
    }),
  ],
})`;

const MIGRATION = `class First1700000000001 {
  async up(runner) {
    await runner.query('CREATE TABLE made (a)');
  }
  async down(runner) {
    await runner.query('DROP TABLE made');
  }
}`;

const KINDS = {
  'ES modules': {
    'package.json': '{ "type": "module" }',
    'data-source.js': `import { poolite } from '@poolite/typeorm';
import { DataSource, EntitySchema } from 'typeorm';
export const source = ${SOURCE};`,
    'migrations/first.js': `export ${MIGRATION}`,
  },
  CommonJS: {
    'package.json': '{}',
    'data-source.js': `const { DataSource, EntitySchema } = require('typeorm');
const { poolite } = require('@poolite/typeorm');
exports.source = ${SOURCE};`,
    'migrations/first.js': `exports.First1700000000001 = ${MIGRATION}`,
  },
};

describe.each(['ES modules', 'CommonJS'] as const)(
  'the typeorm command, in a project of %s,',
  (kind) => {
    test('runs, shows and reverts migrations, synchronizes, and queries', async () => {
      const { folder, run } = project(KINDS[kind]);
      const cli = (...args: string[]) =>
        run('node_modules/typeorm/cli.js', ...args, '-d', 'data-source.js');
      const tables = () => {
        const db = new Database(join(folder, 'app.db'), { readonly: true });
        const sql = "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY name";
        const found = db.prepare(sql).pluck().all();
        db.close();
        return found;
      };
      expect(await cli('migration:run')).toMatch(/has been executed successfully/);
      expect(tables()).toEqual(['made', 'migrations']);
      expect(await cli('migration:show')).toMatch(/\[X\] 1 First1700000000001/);
      await cli('migration:revert');
      expect(tables()).toEqual(['migrations']);
      await cli('schema:sync');
      expect(tables()).toEqual(['migrations', 'note']);
      expect(await cli('query', 'SELECT 6 * 7 AS answer')).toMatch(/answer: 42/);
    });
  },
);

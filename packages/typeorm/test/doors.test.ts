import { createRequire } from 'node:module';
import { poolite } from '@poolite/typeorm';
import { DataSource } from 'typeorm';
import { DataSource as OtherDataSource } from 'typeorm-1.1.0';
import { describe, expect, test } from 'vitest';
import {
  Account,
  account,
  freshFile,
  initialized,
  names,
  openSource,
  optionsOf,
} from './support/db.ts';
import { OLDEST, project } from './support/project.ts';

const require = createRequire(import.meta.url);

describe('a second copy of typeorm, which was not wrapped,', () => {
  test('says so when its data source is initialized, whatever it was asked for', async () => {
    const database = freshFile();
    const other = new OtherDataSource({ type: 'better-sqlite3', driver: poolite(), database });
    await expect(other.initialize()).rejects.toThrow(/two copies of typeorm/);
    expect(other.isInitialized).toBe(false);
    await expect(other.query('SELECT 1')).rejects.toThrow();
  });

  test('is not told of by the first, which works', async () => {
    const source = await openSource();
    await source.getRepository(Account).save(account('a'));
    expect(await names(source)).toEqual(['a']);
  });
});

test('the two builds, for import and for require, work side by side', async () => {
  const required = require('@poolite/typeorm') as typeof import('@poolite/typeorm');
  expect(required.poolite).not.toBe(poolite);
  for (const driver of [required.poolite({ readers: 1 }), poolite({ readers: 1 })]) {
    const source = await initialized(new DataSource(optionsOf({ driver })));
    await source.transaction((manager) => manager.save(Account, account('a')));
    expect(await names(source)).toEqual(['a']);
    expect(source.driver.constructor.name).toMatch(/PooliteDriver/);
    await source.destroy();
  }
});

test('both builds export the same names', async () => {
  const imported = Object.keys(await import('@poolite/typeorm'));
  const required = Object.keys(require('@poolite/typeorm'));
  expect(imported.sort()).toEqual(required.filter((name) => name !== 'default').sort());
});

const body = (driver: string) => `
const Note = new EntitySchema({
  name: 'Note',
  columns: { id: { type: 'integer', primary: true, generated: true }, text: { type: 'varchar' } },
});
async function main() {
  const source = ${driver};
  await source.initialize();
  const notes = source.getRepository(Note);
  const texts = Array.from({ length: 20 }, (_, n) => String(n));
  await Promise.all(texts.map((text) => source.transaction((manager) => manager.save(Note, { text }))));
  const wrong = source.transaction(() => notes.save({ text: 'wrong' }));
  const code = await wrong.catch((error) => error.code);
  console.log(await notes.count(), code);
  await source.destroy();
}
main();
`;

const SOURCES = {
  poolite: `new DataSource({ type: 'better-sqlite3', driver: poolite(), database: 'a.db', entities: [Note], synchronize: true })`,
  PooliteDataSource: `new PooliteDataSource({ database: 'a.db', entities: [Note], synchronize: true })`,
};

const HEADS = {
  'main.mjs': `import { poolite, PooliteDataSource } from '@poolite/typeorm';
import { DataSource, EntitySchema } from 'typeorm';`,
  'main.cjs': `const { DataSource, EntitySchema } = require('typeorm');
const { poolite, PooliteDataSource } = require('@poolite/typeorm');`,
};

test('a project on the oldest typeorm that is supported works the same', async () => {
  const { run } = project({ 'main.mjs': HEADS['main.mjs'] + body(SOURCES.poolite) }, OLDEST);
  expect(await run('main.mjs')).toBe('20 POOL_DEADLOCK\n');
});

describe.each(['main.mjs', 'main.cjs'] as const)('a program of its own, %s,', (file) => {
  test.each(['poolite', 'PooliteDataSource'] as const)(
    'works through %s, and ends',
    async (door) => {
      const { run } = project({ [file]: HEADS[file] + body(SOURCES[door]) });
      expect(await run(file)).toBe('20 POOL_DEADLOCK\n');
    },
  );
});

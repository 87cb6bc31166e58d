import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshFolder } from './db.ts';

/** The folder that drizzle-kit generate would have written: each migration a list of statements. */
export function migrationsFolder(
  migrations: readonly (readonly string[])[],
  folder = freshFolder(),
): string {
  mkdirSync(join(folder, 'meta'), { recursive: true });
  const entries = migrations.map((statements, idx) => {
    const tag = `${String(idx).padStart(4, '0')}_made`;
    writeFileSync(join(folder, `${tag}.sql`), statements.join('\n--> statement-breakpoint\n'));
    return { idx, version: '6', when: 1_700_000_000_000 + idx, tag, breakpoints: true };
  });
  const journal = { version: '7', dialect: 'sqlite', entries };
  writeFileSync(join(folder, 'meta', '_journal.json'), JSON.stringify(journal));
  return folder;
}

/** Parents with children, which go when their parent goes. */
export const FAMILY = [
  'CREATE TABLE parent (id integer PRIMARY KEY, name text)',
  'CREATE TABLE child (id integer PRIMARY KEY, parent_id integer NOT NULL REFERENCES parent(id) ON DELETE CASCADE)',
];

/** What drizzle-kit generates where a column becomes NOT NULL, for example. */
export const REBUILD = [
  'PRAGMA foreign_keys=OFF;',
  'CREATE TABLE `__new_parent` (`id` integer PRIMARY KEY NOT NULL, `name` text NOT NULL);',
  'INSERT INTO `__new_parent`("id", "name") SELECT "id", "name" FROM `parent`;',
  'DROP TABLE `parent`;',
  'ALTER TABLE `__new_parent` RENAME TO `parent`;',
  'PRAGMA foreign_keys=ON;',
];

import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runScript } from './support/child.ts';
import { freshFolder } from './support/folder.ts';

test('a backup is made where the program of Node.js is gone or may not be looked at', async () => {
  const folder = freshFolder();
  // As after an update of Node.js in place, or in a service that has given up its rights.
  const node = join(folder, 'node');
  copyFileSync(process.execPath, node);
  const { stdout, stderr } = await runScript(
    `import { rmSync } from 'node:fs';
    import { createPool } from '@poolite/core';
    const [node, file] = process.argv.slice(1);
    rmSync(node);
    await using pool = createPool(file, { readers: 1 });
    await pool.exec('CREATE TABLE t (id)');
    console.log((await pool.backup(file + '-backup')).verdict);`,
    { args: [node, join(folder, 'app.db')], node, limit: 60_000 },
  );
  expect([stdout, stderr]).toEqual(['ok\n', '']);
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Kysely } from 'kysely';
import { openAccounts, total, transfer } from './bank.ts';
import { dialectOf } from './dialect.ts';
import { migrate } from './migrations.ts';
import type { Bank } from './schema.ts';

const OWNERS = 20;
const TRANSFERS = 500;

const { values } = parseArgs({ options: { dialect: { type: 'string', default: 'poolite' } } });
const folder = mkdtempSync(join(tmpdir(), 'poolite-example-'));
const db = new Kysely<Bank>({ dialect: dialectOf(values.dialect, join(folder, 'bank.db')) });

try {
  console.log(`dialect: ${values.dialect}`);

  const [ran, second] = [await migrate(db), await migrate(db)];
  console.log(`migrations: ${ran.length}, and ${second.length} the second time`);

  await openAccounts(db, OWNERS, 1000);
  console.log(`money before: ${await total(db)}`);

  // Every transfer reads a balance and writes two: none of them may come between another's.
  const started = performance.now();
  const moved = await Promise.all(
    Array.from({ length: TRANSFERS }, (_, n) =>
      transfer(db, (n % OWNERS) + 1, ((n * 7 + 3) % OWNERS) + 1, (n * 37) % 900),
    ),
  );
  const ms = performance.now() - started;
  const done = moved.filter((each) => each).length;
  console.log(`transfers: ${done} done, ${TRANSFERS - done} refused for lack of money`);
  console.log(`money after: ${await total(db)}`);

  let read = 0;
  let largest = 0;
  for await (const { cents } of db.selectFrom('transfer').select('cents').stream(50)) {
    read++;
    largest = Math.max(largest, cents);
  }
  console.log(`streamed: ${read} transfers, the largest of ${largest}`);
  console.log(`(${Math.round((TRANSFERS * 1000) / ms)} transactions a second)`);
} finally {
  await db.destroy();
  rmSync(folder, { recursive: true, force: true });
}

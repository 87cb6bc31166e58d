import { expect, test } from 'vitest';
import { MemoryLog } from './memory-log.ts';
import { type Node, Nodes } from './node.ts';
import { Choice, RandomSql } from './random-sql.ts';

/** Runs of a usual test, of the same choices; set FC_RUNS for more and others, and FC_SEED to repeat the first of them. */
const RUNS = Number(process.env.FC_RUNS ?? 5);
const TRANSACTIONS = 40;

/** Runs statements of which some fail, as users go on after an error, and throws where all of it shall be undone. */
function work(node: Node, statements: readonly string[], ends: 'commit' | 'fail'): void {
  for (const sql of statements) {
    try {
      if (sql === 'core') {
        node.savepoint(() => {
          for (const inner of statements.filter(
            (text) => !/SAVEPOINT|RELEASE|ROLLBACK/.test(text) && text !== 'core',
          )) {
            node.statement(inner);
          }
          throw new Error('undone');
        });
      } else {
        node.statement(sql);
      }
    } catch (error) {
      // OR ROLLBACK undoes all, and what follows would be no part of a transaction.
      if (!node.writer.isTransaction) throw error;
    }
  }
  if (ends === 'fail') throw Object.assign(new Error('undone'), { code: 'ERR_SQLITE_ERROR' });
}

function check(error: unknown): void {
  const { code } = error as { code?: string };
  const isLegal =
    code === 'ERR_SQLITE_ERROR' ||
    code === 'POOL_MISUSE' ||
    code === 'SQLITE_CONSTRAINT_FOREIGNKEY';
  if (!isLegal) throw error;
}

function run(seed: number): void {
  const choice = new Choice(seed);
  using nodes = new Nodes();
  const log = new MemoryLog();
  const open = (name: string) => nodes.open(log, name);
  const writers = [open('a.db'), open('b.db')];
  const all = [...writers, open('c.db')];
  const history: string[] = [];
  try {
    for (let transaction = 0; transaction < TRANSACTIONS; transaction++) {
      const node = choice.of(writers);
      const sql = new RandomSql(choice, node.writer);
      if (choice.chance(60)) node.pull();
      if (choice.chance(20)) node.run(sql.setting());
      const statements = Array.from({ length: 1 + choice.below(5) }, () => sql.statement());
      if (choice.chance(25)) statements.splice(choice.below(3), 0, 'core');
      const ends = choice.chance(10) ? 'fail' : 'commit';
      history.push(`${node.file.at(-4)} ${ends}: ${statements.join('; ')}`);
      try {
        node.transaction(() => work(node, statements, ends));
      } catch (error) {
        check(error);
        history.push(`   ${(error as Error).message}`);
      }
      if (transaction % 10 < 9) continue;
      for (const one of all) one.pull();
      const [first, ...others] = all.map((one) => one.content());
      for (const other of others) expect(other).toEqual(first);
    }
  } catch (error) {
    (error as Error).message += `\nseed ${seed}:\n${history.slice(-12).join('\n')}`;
    throw error;
  }
}

test('machines that write anything at random have the same, or were refused', { retry: 0 }, () => {
  const seed = Number(
    process.env.FC_SEED ?? (process.env.FC_RUNS === undefined ? 1 : Date.now() % 2 ** 31),
  );
  console.log(`seed ${seed}`);
  for (let run_ = 0; run_ < RUNS; run_++) run(seed + run_);
});

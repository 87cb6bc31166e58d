import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { describe, expect, test } from 'vitest';
import {
  Account,
  account,
  freshSources,
  NO_LIMITS,
  names,
  openSource,
  openStock,
  outcome,
  poolOf,
  step,
} from './support/db.ts';

const freshSource = freshSources();

/** A transaction that has saved 'first', and keeps the writer until it is told to let go. */
async function holding(source: DataSource): Promise<() => Promise<void>> {
  const held = step();
  const goOn = step();
  const over = source.transaction(async (manager) => {
    await manager.save(Account, account('first'));
    held.reach();
    await goOn.reached;
  });
  await held.reached;
  return () => {
    goOn.reach();
    return over;
  };
}

describe('transactions of many callers', () => {
  const deposit = (source: DataSource) =>
    source.transaction(async (manager) => {
      const row = await manager.findOneByOrFail(Account, { id: 1 });
      await new Promise((resolve) => setImmediate(resolve));
      await manager.update(Account, 1, { cents: row.cents + 1 });
    });

  test('30 at once that read, then write what they read, lose no update', async () => {
    const source = await freshSource();
    await source.getRepository(Account).save(account('a'));
    await Promise.all(Array.from({ length: 30 }, () => deposit(source)));
    expect(await source.getRepository(Account).findOneBy({ id: 1 })).toMatchObject({ cents: 30 });
  });

  test("on TypeORM's own driver two at once fail: what the pool is for", async () => {
    const source = await openStock();
    await source.getRepository(Account).save(account('a'));
    const both = await Promise.allSettled([deposit(source), deposit(source)]);
    expect(both.map(({ status }) => status)).toContain('rejected');
  });

  test('one that throws is undone, and its neighbours are not', async () => {
    const source = await freshSource();
    const one = (n: number) =>
      source.transaction(async (manager) => {
        await manager.save(Account, account(`${n}`));
        if (n % 3 === 0) throw new Error('no');
      });
    const results = await Promise.allSettled(Array.from({ length: 30 }, (_, n) => one(n)));
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(10);
    expect(await names(source)).toHaveLength(20);
  });

  test('64 saves at once are 64 transactions, which share commits', async () => {
    const source = await openSource({}, { readers: 1, synchronous: 'full' });
    const stats = () => poolOf(source).stats().transactions;
    const before = stats();
    const save = (n: number) => source.getRepository(Account).save(account(`${n}`));
    let saves = 0;
    // They share none while the machine is slow.
    while (stats().sharedCommits === before.sharedCommits) {
      const saved = await Promise.all(Array.from({ length: 64 }, () => save(saves++)));
      expect(new Set(saved.map(({ id }) => id)).size).toBe(64);
      expect(stats().count - before.count).toBe(saves);
    }
  });
});

describe("a bystander's save", () => {
  test('stays where the transaction that it waited for is rolled back', async () => {
    const source = await freshSource();
    const repository = source.getRepository(Account);
    const inside = step();
    const goOn = step();
    const failing = source.transaction(async (manager) => {
      await manager.save(Account, account('undone'));
      inside.reach();
      await goOn.reached;
      throw new Error('no');
    });
    await inside.reached;
    const bystanders = [
      repository.save(account('saved')),
      repository.insert(account('inserted')),
      source.query("INSERT INTO account (name) VALUES ('raw')"),
    ];
    expect(await names(source)).toEqual([]);
    goOn.reach();
    expect(await outcome(failing)).toBe('Error: no');
    await Promise.all(bystanders);
    expect((await names(source)).sort()).toEqual(['inserted', 'raw', 'saved']);
  });

  test('issued in the same tick, by the same function, waits as well', async () => {
    const source = await freshSource();
    const repository = source.getRepository(Account);
    const runner = async () => {
      const own = source.createQueryRunner();
      await own.startTransaction();
      await own.manager.save(Account, account('by hand'));
      await own.commitTransaction();
      await own.release();
    };
    await Promise.all([
      source.transaction((manager) => manager.save(Account, account('in a transaction'))),
      repository.save(account('beside it')),
      runner(),
      repository.insert(account('beside them')),
    ]);
    const late = source.transaction((manager) => manager.save(Account, account('late')));
    for (let tick = 0; tick < 3; tick++) await null;
    await repository.save(account('later'));
    await late;
    expect(await names(source)).toHaveLength(6);
  });
});

describe('a write through the wrong manager, inside a transaction,', () => {
  const wrong: Record<string, (source: DataSource) => Promise<unknown>> = {
    'manager.save': (source) => source.manager.save(Account, account('outer')),
    'repository.insert': (source) => source.getRepository(Account).insert(account('outer')),
    'a query builder': (source) =>
      source.createQueryBuilder().update(Account).set({ cents: 1 }).execute(),
    query: (source) => source.query('DELETE FROM account'),
    'a transaction': (source) => source.transaction(async () => {}),
    'raw BEGIN': (source) => source.query('BEGIN'),
  };

  test.each(Object.keys(wrong))('%s, is POOL_DEADLOCK at once', async (how) => {
    const source = await freshSource();
    await source.transaction(async (manager) => {
      expect(await outcome((wrong[how] as (of: DataSource) => Promise<unknown>)(source))).toBe(
        'POOL_DEADLOCK',
      );
      await manager.save(Account, account('inside'));
      expect(await outcome((wrong[how] as (of: DataSource) => Promise<unknown>)(source))).toBe(
        'POOL_DEADLOCK',
      );
    });
    expect(await names(source)).toEqual(['inside']);
    await source.getRepository(Account).save(account('after'));
    expect(await names(source)).toEqual(['inside', 'after']);
  });

  test('is told what to use instead', async () => {
    const source = await freshSource();
    await source.transaction(async () => {
      await expect(source.manager.save(Account, account('outer'))).rejects.toThrow(
        /use the EntityManager that the transaction passed to its callback/,
      );
    });
  });

  test('is found with a query runner of its own too, and not after its end', async () => {
    const source = await freshSource();
    const runner = source.createQueryRunner();
    await runner.connect();
    await runner.startTransaction();
    const save = () => source.getRepository(Account).save(account('outer'));
    expect(await outcome(save())).toBe('POOL_DEADLOCK');
    await runner.manager.save(Account, account('inside'));
    expect(await outcome(save())).toBe('POOL_DEADLOCK');
    await runner.commitTransaction();
    await save();
    await runner.release();
    expect(await names(source)).toEqual(['inside', 'outer']);
  });

  test('waits where the pool is told so', async () => {
    const source = await openSource({}, { ...NO_LIMITS, selfWait: 'wait' });
    let outer: Promise<unknown> | undefined;
    await source.transaction(async (manager) => {
      outer = source.manager.save(Account, account('outer'));
      await manager.save(Account, account('inside'));
    });
    await outer;
    expect(await names(source)).toEqual(['inside', 'outer']);
  });

  test('a read through it sees the last commit, and waits for nothing', async () => {
    const source = await freshSource();
    await source.transaction(async (manager) => {
      await manager.save(Account, account('inside'));
      expect(await names(source)).toEqual([]);
      expect(await manager.count(Account)).toBe(1);
    });
    expect(await names(source)).toEqual(['inside']);
  });
});

describe('nested transactions are savepoints', () => {
  test('one that throws is undone alone', async () => {
    const source = await freshSource();
    await source.transaction(async (manager) => {
      await manager.save(Account, account('kept'));
      const inner = manager.transaction(async (nested) => {
        await nested.save(Account, account('undone'));
        throw new Error('no');
      });
      expect(await outcome(inner)).toBe('Error: no');
      await manager.transaction((nested) => nested.save(Account, account('kept too')));
    });
    expect(await names(source)).toEqual(['kept', 'kept too']);
  });

  test('by a query runner, three deep', async () => {
    const source = await freshSource();
    const runner = source.createQueryRunner();
    const save = (name: string) => runner.manager.save(Account, account(name));
    await runner.startTransaction();
    await save('one');
    await runner.startTransaction();
    await save('two');
    await runner.startTransaction();
    await save('three');
    await runner.rollbackTransaction();
    await runner.commitTransaction();
    await runner.commitTransaction();
    await runner.release();
    expect(await names(source)).toEqual(['one', 'two']);
  });
});

describe('isolation levels', () => {
  const readUncommitted = async (manager: EntityManager) =>
    ((await manager.query('PRAGMA read_uncommitted')) as [{ read_uncommitted: number }])[0]
      .read_uncommitted;

  test.each([
    ['READ UNCOMMITTED', 1],
    ['SERIALIZABLE', 0],
  ] as const)('%s is set for the transaction, and for no other', async (level, expected) => {
    const source = await openSource({}, NO_LIMITS);
    await source.transaction(level, async (manager) => {
      await manager.save(Account, account('inside'));
      expect(await readUncommitted(manager)).toBe(expected);
    });
    await source.transaction(async (manager) => expect(await readUncommitted(manager)).toBe(0));
    await source.getRepository(Account).save(account('after'));
    expect(await names(source)).toEqual(['inside', 'after']);
  });

  test('that of the data source is taken', async () => {
    const source = await openSource({ isolationLevel: 'READ UNCOMMITTED' });
    await source.transaction(async (manager) => expect(await readUncommitted(manager)).toBe(1));
  });

  test.each(['REPEATABLE READ', 'READ COMMITTED'] as const)('%s is refused', async (level) => {
    const source = await openSource({}, NO_LIMITS);
    await expect(source.transaction(level, async () => {})).rejects.toThrow(/is not supported/);
    await source.getRepository(Account).save(account('after'));
  });
});

describe('a transaction of a query runner', () => {
  const begun = async (): Promise<{ source: DataSource; runner: QueryRunner }> => {
    const source = await freshSource();
    const runner = source.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.save(Account, account('inside'));
    return { source, runner };
  };

  test('is rolled back where the runner is released', async () => {
    const { source, runner } = await begun();
    await runner.release();
    await runner.release();
    expect(runner.isReleased).toBe(true);
    await source.getRepository(Account).save(account('after'));
    expect(await names(source)).toEqual(['after']);
    expect(await outcome(runner.query('SELECT 1'))).toMatch(/QueryRunnerAlreadyReleasedError/);
  });

  test('is committed at the end of `await using`, as TypeORM has it', async () => {
    const source = await freshSource();
    {
      await using runner = source.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.save(Account, account('inside'));
    }
    expect(await names(source)).toEqual(['inside']);
  });

  test('cannot go on where SQLite rolled it back: what follows would be committed at once', async () => {
    const { source, runner } = await begun();
    await runner.query('CREATE UNIQUE INDEX by_name ON account (name)');
    const twice = "INSERT OR ROLLBACK INTO account (name) VALUES ('inside')";
    expect(await outcome(runner.query(twice))).toBe('SQLITE_CONSTRAINT_UNIQUE');
    const next = "INSERT INTO account (name) VALUES ('next')";
    expect(await outcome(runner.query(next))).toBe('SQLITE_CONSTRAINT_UNIQUE');
    expect(await outcome(runner.commitTransaction())).not.toBe('resolved');
    await runner.rollbackTransaction();
    await runner.query(next);
    await runner.release();
    expect(await names(source)).toEqual(['next']);
  });

  test('that lasted too long is told so, and can be rolled back and begun again', async () => {
    const source = await openSource({}, { readers: 1, transactionTimeout: 50 });
    const runner = source.createQueryRunner();
    const leaked = new Promise((resolve) => poolOf(source).on('leak', resolve));
    await runner.startTransaction();
    const saved = outcome(runner.manager.save(Account, account('too slow')));
    expect(await saved).toMatch(/resolved|POOL_TIMEOUT/);
    await leaked;
    const insert = "INSERT INTO account (name) VALUES ('outside')";
    expect(await outcome(runner.query(insert))).toBe('POOL_TIMEOUT');
    expect(await outcome(runner.commitTransaction())).toBe('POOL_TIMEOUT');
    await runner.rollbackTransaction();
    const again = async () => {
      await runner.startTransaction();
      await runner.manager.save(Account, account('in time'));
      await runner.commitTransaction();
    };
    // A slow machine may come too late more than once.
    while ((await outcome(again())) === 'POOL_TIMEOUT') await runner.rollbackTransaction();
    await runner.release();
    expect(await names(source)).toEqual(['in time']);
  });

  test('whose commit fails is undone, and leaves the runner usable', async () => {
    const source = await freshSource();
    await source.query(
      'CREATE TABLE child (id INTEGER REFERENCES account DEFERRABLE INITIALLY DEFERRED)',
    );
    const orphan = (manager: EntityManager) => manager.query('INSERT INTO child VALUES (99)');
    expect(await outcome(source.transaction(orphan))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY');
    expect(await source.query('SELECT * FROM child')).toEqual([]);
    await source.transaction((manager) => manager.save(Account, account('after')));
    expect(await names(source)).toEqual(['after']);
  });

  test('that somebody else wrote begins when it has the writer, and no earlier', async () => {
    const source = await freshSource();
    let running = 0;
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        source.transaction(async (manager) => {
          expect(++running).toBe(1);
          await null;
          await manager.save(Account, account(`${n}`));
          running--;
        }),
      ),
    );
    expect(await names(source)).toHaveLength(20);
  });

  test("of a save that cannot have the writer in time stores nothing, nor keeps it from others'", async () => {
    const source = await openSource({}, { readers: 1, acquireTimeout: 30 });
    const letGo = await holding(source);
    const late = account('late');
    expect(await outcome(source.getRepository(Account).save(late))).toBe('POOL_TIMEOUT');
    expect(late).not.toHaveProperty('id');
    await letGo();
    await source.getRepository(Account).save(account('second'));
    expect(await names(source)).toEqual(['first', 'second']);
  });

  test('that cannot have the writer in time is not begun', async () => {
    const source = await openSource({}, { readers: 1, acquireTimeout: 30 });
    const other = source.createQueryRunner();
    const letGo = await holding(source);
    expect(await outcome(other.startTransaction())).toBe('POOL_TIMEOUT');
    expect(other.isTransactionActive).toBe(false);
    await letGo();
    await other.startTransaction();
    await other.manager.save(Account, account('second'));
    await other.commitTransaction();
    await other.release();
    expect(await names(source)).toEqual(['first', 'second']);
  });
});

test('a select builder in a transaction of its own holds a reader, and keeps nobody from writing', async () => {
  const source = await freshSource();
  await source.getRepository(Account).save(account('a'));
  const before = poolOf(source).stats().transactions.count;
  const rows = await source.createQueryBuilder(Account, 'account').useTransaction(true).getMany();
  expect(rows).toHaveLength(1);
  expect(poolOf(source).stats().transactions.count).toBe(before);
});

test('on a database in memory everything shares the one connection', async () => {
  const source = await openSource({ database: ':memory:' }, NO_LIMITS);
  await source.transaction(async (manager) => {
    await manager.save(Account, account('inside'));
    expect(await manager.count(Account)).toBe(1);
    expect(await outcome(names(source))).toBe('POOL_DEADLOCK');
  });
  expect(await names(source)).toEqual(['inside']);
});

import {
  type DataSource,
  EventSubscriber,
  type InsertEvent,
  type Logger,
  type QueryRunner,
  type TransactionStartEvent,
} from 'typeorm';
import { describe, expect, test } from 'vitest';
import {
  Account,
  account,
  NO_LIMITS,
  names,
  type Options,
  openSource,
  openStock,
  outcome,
} from './support/db.ts';

/** A logger that writes down everything but times. */
class Written implements Logger {
  readonly lines: unknown[] = [];
  logQuery(query: string, parameters?: unknown[], runner?: QueryRunner) {
    this.lines.push(['query', query, parameters, typeof runner?.query]);
  }
  logQueryError(error: string | Error, query: string, parameters?: unknown[]) {
    this.lines.push(['error', String(error), query, parameters]);
  }
  logQuerySlow(time: number, query: string, parameters?: unknown[]) {
    this.lines.push(['slow', typeof time, query, parameters]);
  }
  logSchemaBuild(message: string) {
    this.lines.push(['schema', message]);
  }
  logMigration(message: string) {
    this.lines.push(['migration', message]);
  }
  log(level: string, message: unknown) {
    this.lines.push([level, message]);
  }
}

/** What a logger is told of the same work. */
async function logged(open: (options: Options) => Promise<DataSource>): Promise<unknown[]> {
  const logger = new Written();
  const source = await open({ logger, entities: [Account] });
  await source.getRepository(Account).save(account('a'));
  await source.getRepository(Account).find();
  await source.transaction(async (manager) => {
    await manager.save(Account, account('b'));
    await outcome(manager.transaction(() => Promise.reject(new Error('no'))));
  });
  await outcome(source.query('SELECT * FROM missing', [true]));
  await source.runMigrations();
  return logger.lines;
}

test("the log is that of TypeORM's own driver", async () => {
  expect(await logged(openSource)).toEqual(await logged(openStock));
});

test('queries that took longer than maxQueryExecutionTime are logged as slow', async () => {
  const logger = new Written();
  const source = await openSource({ logger, maxQueryExecutionTime: 5 });
  const slow =
    'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5e5) SELECT count(*) FROM n';
  await source.query(slow);
  const lines = (logger.lines as unknown[][]).filter(([kind]) => kind === 'slow');
  expect(lines.map(([, , query]) => query)).toContain(slow);
});

describe('subscribers', () => {
  /** What they were told of. */
  let told: string[] = [];

  class Watcher {
    listenTo() {
      return 'Account';
    }
    beforeQuery({ query }: { query: string }) {
      told.push(`before ${query.split(' ')[0]}`);
    }
    afterQuery({ query, success }: { query: string; success: boolean }) {
      told.push(`after ${query.split(' ')[0]} ${success}`);
    }
    beforeTransactionStart() {
      told.push('starting');
    }
    afterTransactionStart(_: TransactionStartEvent) {
      told.push('started');
    }
    afterTransactionCommit() {
      told.push('committed');
    }
    afterTransactionRollback() {
      told.push('rolled back');
    }
    async afterInsert({ manager, entity }: InsertEvent<Account>) {
      if (entity.name === 'a') await manager.insert(Account, account('by the subscriber'));
    }
    afterLoad() {
      told.push('loaded');
    }
  }
  EventSubscriber()(Watcher);

  const work = async (source: DataSource) => {
    told = [];
    await source.getRepository(Account).save(account('a'));
    await source.getRepository(Account).find();
    await outcome(source.transaction(() => Promise.reject(new Error('no'))));
    await outcome(source.query('SELECT * FROM missing'));
    return { names: await names(source), told: [...told] };
  };

  test("are told what TypeORM's own driver tells them, and may write", async () => {
    const ours = await work(await openSource({ subscribers: [Watcher] }, NO_LIMITS));
    const theirs = await work(await openStock({ subscribers: [Watcher] }));
    expect(ours).toEqual(theirs);
    expect(ours.names).toEqual(['a', 'by the subscriber']);
    expect(ours.told).toContain('after SELECT false');
  });

  test('that throw before a transaction starts leave nothing behind', async () => {
    let refuses = false;
    class Refusing {
      beforeTransactionStart() {
        if (refuses) throw new Error('not now');
      }
    }
    EventSubscriber()(Refusing);
    const source = await openSource({ subscribers: [Refusing] }, NO_LIMITS);
    refuses = true;
    expect(await outcome(source.synchronize())).toBe('Error: not now');
    const runner = source.createQueryRunner();
    await runner.connect();
    expect(await outcome(runner.startTransaction())).toBe('Error: not now');
    expect(runner.isTransactionActive).toBe(false);
    await source.getRepository(Account).insert(account('a'));
    await runner.release();
    expect(await names(source)).toEqual(['a']);
  });
});

describe('the query cache', () => {
  test('answers until it is cleared, inside transactions too', async () => {
    const source = await openSource({ cache: { duration: 60_000 } } as Options, NO_LIMITS);
    const cached = (of: DataSource['manager'] = source.manager) =>
      of.createQueryBuilder(Account, 'a').cache('accounts', 60_000).getCount();
    expect(await cached()).toBe(0);
    await source.getRepository(Account).save(account('a'));
    expect(await cached()).toBe(0);
    await source.transaction(async (manager) => {
      expect(await cached(manager)).toBe(0);
      await manager.save(Account, account('b'));
      const own = manager.createQueryBuilder(Account, 'a').cache('mine', 60_000);
      expect(await own.getCount()).toBe(2);
    });
    await source.queryResultCache?.remove(['accounts']);
    expect(await cached()).toBe(2);
    await source.queryResultCache?.clear();
    expect(await cached()).toBe(2);
  });
});

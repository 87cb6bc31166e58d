import type { DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PooliteDataSource, type PooliteDataSourceOptions, poolite } from '@poolite/typeorm';
import { Account } from './account.entity.ts';
import { Accounts1767225600000 } from './migrations/1767225600000-accounts.ts';
import { Transfers1767312000000 } from './migrations/1767312000000-transfers.ts';
import { Transfer } from './transfer.entity.ts';

export const DOORS = ['driver', 'data-source'] as const;

/** The database, through one of the package's two doors: either would do. */
export function databaseModule(door: (typeof DOORS)[number], database: string): DynamicModule {
  const options = {
    type: 'better-sqlite3' as const,
    database,
    entities: [Account, Transfer],
    migrations: [Accounts1767225600000, Transfers1767312000000],
    migrationsRun: true,
  };
  if (door === 'driver') {
    return TypeOrmModule.forRoot({ ...options, driver: poolite({ synchronous: 'full' }) });
  }
  return TypeOrmModule.forRootAsync({
    useFactory: () => options,
    dataSourceFactory: async (given) =>
      new PooliteDataSource({
        ...(given as PooliteDataSourceOptions),
        pool: { synchronous: 'full' },
      }),
  });
}

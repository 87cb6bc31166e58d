import { createPool, type Pool } from '@poolite/core';
import type { City } from './cities.ts';
import { cityValues, movers, type Neighbours, SCHEMA, SQL, type Store } from './store.ts';

/** The work through the pool. */
export class PoolStore implements Store {
  readonly pool: Pool;

  constructor(file: string) {
    // Two readers, also on a machine of two cores: one may be busy with a long query.
    this.pool = createPool(file, { synchronous: 'full', readers: 2 });
  }

  async open(): Promise<void> {
    await this.pool.exec(SCHEMA);
  }

  async load(cities: readonly City[]): Promise<void> {
    await this.pool.runMany(SQL.load, valuesOf(cities));
  }

  async move(from: number, to: number): Promise<void> {
    await this.pool.transaction(async (tx) => {
      const source = await tx.get<City>(SQL.population, [from]);
      const people = movers(source?.population ?? 0);
      // What is issued in one tick travels together.
      await Promise.all([
        tx.run(SQL.change, [-people, from]),
        tx.run(SQL.change, [people, to]),
        tx.run(SQL.move, [from, to, people]),
      ]);
    });
  }

  async visit(city: number): Promise<void> {
    await this.pool.run(SQL.visit, [city, Date.now()]);
  }

  find(city: number): Promise<City | undefined> {
    return this.pool.get<City>(SQL.find, [city]);
  }

  largest(country: string): Promise<City[]> {
    return this.pool.all<City>(SQL.largest, [country]);
  }

  async people(): Promise<number> {
    const row = await this.pool.get<{ people: number }>(SQL.people);
    return row?.people ?? 0;
  }

  async neighbours(most: number): Promise<Neighbours> {
    return (await this.pool.get<Neighbours>(SQL.neighbours, [most])) as Neighbours;
  }

  async counts(): Promise<{ moves: number; visits: number }> {
    return (await this.pool.get(SQL.counts)) as { moves: number; visits: number };
  }

  async integrity(): Promise<string> {
    const rows = await this.pool.values<[string]>('PRAGMA integrity_check');
    return rows.flat().join('; ');
  }

  close(): Promise<void> {
    return this.pool.close();
  }
}

/** The sets are made as the pool asks for them, so that they never are in memory all at once. */
function* valuesOf(cities: readonly City[]) {
  for (const city of cities) yield cityValues(city);
}

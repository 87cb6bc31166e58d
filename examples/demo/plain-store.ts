import Database from 'better-sqlite3';
import type { City } from './cities.ts';
import { cityValues, movers, type Neighbours, SCHEMA, SQL, type Store } from './store.ts';

type Statements = Record<keyof typeof SQL, Database.Statement<unknown[]>>;

/** The same work with better-sqlite3 on the calling thread, as its documentation shows it. */
export class PlainStore implements Store {
  readonly #db: Database.Database;
  #statements: Statements | undefined;
  #move: Database.Transaction<(from: number, to: number) => void> | undefined;

  constructor(file: string) {
    this.#db = new Database(file);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
  }

  get #sql(): Statements {
    if (this.#statements === undefined) throw new Error('open() comes first');
    return this.#statements;
  }

  async open(): Promise<void> {
    const db = this.#db;
    db.exec(SCHEMA);
    const prepared = Object.entries(SQL).map(([name, sql]) => [name, db.prepare(sql)]);
    const sql = Object.fromEntries(prepared) as Statements;
    this.#statements = sql;
    this.#move = db.transaction((from: number, to: number) => {
      const source = sql.population.get(from) as City;
      const people = movers(source.population);
      sql.change.run(-people, from);
      sql.change.run(people, to);
      sql.move.run(from, to, people);
    });
  }

  async load(cities: readonly City[]): Promise<void> {
    const { load } = this.#sql;
    this.#db.transaction(() => {
      for (const city of cities) load.run(cityValues(city));
    })();
  }

  async move(from: number, to: number): Promise<void> {
    this.#move?.immediate(from, to);
  }

  async visit(city: number): Promise<void> {
    this.#sql.visit.run(city, Date.now());
  }

  async find(city: number): Promise<City | undefined> {
    return this.#sql.find.get(city) as City | undefined;
  }

  async largest(country: string): Promise<City[]> {
    return this.#sql.largest.all(country) as City[];
  }

  async people(): Promise<number> {
    return (this.#sql.people.get() as { people: number }).people;
  }

  async neighbours(most: number): Promise<Neighbours> {
    return this.#sql.neighbours.get(most) as Neighbours;
  }

  async counts(): Promise<{ moves: number; visits: number }> {
    return this.#sql.counts.get() as { moves: number; visits: number };
  }

  async integrity(): Promise<string> {
    return String(this.#db.pragma('integrity_check', { simple: true }));
  }

  async close(): Promise<void> {
    this.#db.close();
  }
}

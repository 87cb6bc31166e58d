import type { City } from './cities.ts';

/** The demo's work on one database, whoever does it. */
export interface Store {
  open(): Promise<void>;
  /** Inserts all cities in one transaction. */
  load(cities: readonly City[]): Promise<void>;
  /** A transaction of four statements: people move from one city to another. */
  move(from: number, to: number): Promise<void>;
  /** One insert, committed by itself as far as its caller can tell. */
  visit(city: number): Promise<void>;
  /** A read by primary key. */
  find(city: number): Promise<City | undefined>;
  /** A read of ten rows by an index. */
  largest(country: string): Promise<City[]>;
  /** How many people there are: reads every row. */
  people(): Promise<number>;
  /** The long query: compares each of the `most` largest cities with each other one. */
  neighbours(most: number): Promise<Neighbours>;
  counts(): Promise<{ moves: number; visits: number }>;
  /** What SQLite finds wrong with the file: 'ok' where it finds nothing. */
  integrity(): Promise<string>;
  close(): Promise<void>;
}

export interface Neighbours {
  one: string;
  other: string;
  km: number;
}

export const SCHEMA = `
  CREATE TABLE city (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    population INTEGER NOT NULL CHECK (population >= 0),
    lat REAL NOT NULL,
    lon REAL NOT NULL
  );
  CREATE INDEX city_by_size ON city (country, population);
  CREATE TABLE move (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES city (id),
    target INTEGER NOT NULL REFERENCES city (id),
    people INTEGER NOT NULL
  );
  CREATE TABLE visit (
    id INTEGER PRIMARY KEY,
    city INTEGER NOT NULL REFERENCES city (id),
    at INTEGER NOT NULL
  );
`;

/** The statements that both stores run. */
export const SQL = {
  load: 'INSERT INTO city (id, name, country, population, lat, lon) VALUES (?, ?, ?, ?, ?, ?)',
  population: 'SELECT population FROM city WHERE id = ?',
  change: 'UPDATE city SET population = population + ? WHERE id = ?',
  move: 'INSERT INTO move (source, target, people) VALUES (?, ?, ?)',
  visit: 'INSERT INTO visit (city, at) VALUES (?, ?)',
  find: 'SELECT * FROM city WHERE id = ?',
  largest: 'SELECT * FROM city WHERE country = ? ORDER BY population DESC LIMIT 10',
  people: 'SELECT sum(population) AS people FROM city',
  counts: 'SELECT (SELECT count(*) FROM move) AS moves, (SELECT count(*) FROM visit) AS visits',
  // The distance is the haversine formula's, on a ball of 6,371 km.
  neighbours: `
    WITH large AS MATERIALIZED (
      SELECT id, name, country, radians(lat) AS lat, radians(lon) AS lon
      FROM city ORDER BY population DESC LIMIT ?
    )
    SELECT a.name AS one, b.name AS other, min(12742 * asin(sqrt(
      pow(sin((a.lat - b.lat) / 2), 2) + cos(a.lat) * cos(b.lat) * pow(sin((a.lon - b.lon) / 2), 2)
    ))) AS km
    FROM large a JOIN large b ON a.id < b.id AND a.country <> b.country`,
} as const;

/** Of a city, so many people move at a time. */
export function movers(population: number): number {
  return Math.ceil(population / 100);
}

export function cityValues({ id, name, country, population, lat, lon }: City) {
  return [id, name, country, population, lat, lon];
}

import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type City, loadCities, SOURCE } from './cities.ts';
import { CALLERS, type Loading, loadInto, type Outcome, runLoad, sizeOfQuery } from './load.ts';
import { PlainStore } from './plain-store.ts';
import { PoolStore } from './pool-store.ts';
import type { Store } from './store.ts';
import { count, heading, line, ms, rate } from './table.ts';

const { values } = parseArgs({
  options: {
    /** How long each run of the load lasts; the long query takes about four tenths of it. */
    seconds: { type: 'string', default: '2.5' },
    rows: { type: 'string', default: '1000000' },
  },
});
const seconds = Number(values.seconds);
const rows = Number(values.rows);
if (!(seconds > 0 && rows > 0)) throw new Error('--seconds and --rows must be numbers above 0');

const folder = mkdtempSync(join(tmpdir(), 'poolite-demo-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

const cities = loadCities(rows);
const people = cities.reduce((sum, city) => sum + city.population, 0);
const pool = new PoolStore(join(folder, 'pool.db'));
const plain = new PlainStore(join(folder, 'plain.db'));

console.log(
  `Node.js ${process.version}, ${availableParallelism()} cores, synchronous = full: a commit`,
);
console.log('is on the disk before its caller hears of it. The same work, in the same run:');
console.log('poolite on its threads, better-sqlite3 on the main thread.');
console.log(`Data: ${SOURCE}`);

const loaded = { pool: await loadInto(pool, cities), plain: await loadInto(plain, cities) };
printLoading(cities, loaded.pool, loaded.plain);

const usual = await both((store) => runLoad(store, cities, people, seconds));
printLoad('Everything at once', usual.pool, usual.plain);

const size = await sizeOfQuery(plain, seconds * 0.4);
const loud = await both((store) => runLoad(store, cities, people, seconds, size));
printLoad('Everything at once, and one long query', loud.pool, loud.plain);
printPool(pool);

const verdicts = {
  poolite: await judge(pool, usual.pool, loud.pool),
  'better-sqlite3': await judge(plain, usual.plain, loud.plain),
};
await pool.close();
await plain.close();
for (const [name, checks] of Object.entries(verdicts)) {
  console.log(`\nAfterwards, ${name}`);
  for (const [what, ok] of checks) {
    console.log(`  ${ok ? 'ok    ' : 'FAILED'} ${what}`);
    if (!ok) process.exitCode = 1;
  }
}

/** One after the other, so that neither takes the other's time. */
async function both<T>(work: (store: Store) => Promise<T>): Promise<{ pool: T; plain: T }> {
  return { pool: await work(pool), plain: await work(plain) };
}

function printLoading(all: readonly City[], a: Loading, b: Loading): void {
  heading('Loading the cities in one transaction');
  line('rows', count(all.length), count(all.length));
  line('rows a second', rate(all.length, a.seconds), rate(all.length, b.seconds));
  line('longest standstill of the event loop', ms(a.standstill), ms(b.standstill));
}

function printLoad(what: string, a: Outcome, b: Outcome): void {
  heading(what);
  const each = (name: string, cell: (outcome: Outcome) => string) => line(name, cell(a), cell(b));
  each(`transactions (${CALLERS.move} callers)`, (it) => rate(it.moves, it.seconds));
  each(`one-shot inserts (${CALLERS.visit} callers)`, (it) => rate(it.visits, it.seconds));
  each('requests for a city or ten', (it) => rate(it.requests.count, seconds));
  each('  half of them answered within', (it) => ms(it.requests.p50));
  each('  99 of 100 answered within', (it) => ms(it.requests.p99));
  if (a.query !== undefined) each('the long query took', (it) => ms(it.query?.ms ?? 0));
  each('longest standstill of the event loop', (it) => ms(it.standstill));
  if (a.query === undefined) return;
  const { one, other, km } = a.query.result;
  console.log(
    `  The query compared the ${count(size)} largest cities. The closest two in two countries:`,
  );
  console.log(`  ${one} and ${other}, ${km.toFixed(1)} km apart.`);
}

function printPool({ pool: opened }: PoolStore): void {
  const { writes, transactions, reads } = opened.stats();
  heading('How the pool did it', '');
  line(
    'one-shot inserts to a commit, mean and most',
    `${writes.meanGroup.toFixed(1)}, ${writes.largestGroup}`,
  );
  line(
    'transactions that shared a commit',
    `${count(transactions.sharedCommits)} of ${count(transactions.count)}`,
  );
  line('reads on the calling thread', count(reads.inline));
  line(
    'reads on reader threads, stolen of them',
    `${count(reads.threaded)}, ${count(reads.stolen)}`,
  );
}

async function judge(store: Store, ...outcomes: Outcome[]): Promise<[what: string, ok: boolean][]> {
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((all, it) => all + of(it), 0);
  const [moves, visits] = [sum((it) => it.moves), sum((it) => it.visits)];
  const stored = await store.counts();
  const sums = sum((it) => it.sums);
  const integrity = await store.integrity();
  return [
    [`${count(people)} people, as many as before`, (await store.people()) === people],
    [`${count(sums)} sums taken meanwhile, all the same`, sum((it) => it.wrongSums) === 0],
    [`${count(moves)} transactions answered, as many stored`, stored.moves === moves],
    [`${count(visits)} inserts answered, as many stored`, stored.visits === visits],
    [`integrity_check: ${integrity}`, integrity === 'ok'],
  ];
}

import type { Params } from '@poolite/core';
import fc from 'fast-check';
import type { Table } from './schemas.js';
import { list, literal, name, type Part, render, STYLES, sql } from './sql.js';
import { text, value } from './values.js';

/** Where a statement is run, and how its result is asked for. */
export const METHODS = ['all', 'get', 'values', 'run', 'query', 'iterate'] as const;
export type Method = (typeof METHODS)[number];
export const PLACES = [
  'pool',
  'pool',
  'pool',
  'transaction',
  'batch',
  'lease',
  'snapshot',
] as const;
export type Place = (typeof PLACES)[number];

export interface Step {
  readonly sql: string;
  readonly params: Params | undefined;
  readonly method: Method;
  readonly place: Place;
}

const bound = value.map((bind): Part => ({ bind }));

function expression(table: Table): fc.Arbitrary<Part> {
  const leaf = fc.oneof(
    { arbitrary: fc.constantFrom(...table.columns).map(name), weight: 4 },
    { arbitrary: bound, weight: 3 },
    { arbitrary: fc.constantFrom('NULL', '1', '-0.0', '1e999', '9223372036854775807'), weight: 1 },
    { arbitrary: fc.constantFrom("x'00ff'", 'zeroblob(3)', 'count(*) OVER ()'), weight: 1 },
    { arbitrary: text.map(literal), weight: 1 },
  );
  const operator = fc.constantFrom(
    '||',
    '+',
    '-',
    '*',
    '/',
    '%',
    '<',
    '=',
    'IS',
    '&',
    '<<',
    'GLOB',
  );
  const type = fc.constantFrom('TEXT', 'INTEGER', 'REAL', 'BLOB', 'NUMERIC');
  const call = fc.constantFrom('typeof', 'quote', 'hex', 'length', 'abs', 'upper', 'unicode');
  const other = fc.constantFrom('round', 'json_valid', 'json_quote', 'json_type', 'sign', '-', '~');
  return fc.oneof(
    leaf,
    fc.tuple(leaf, operator, leaf).map(([a, op, b]) => sql`(${a} ${op} ${b})`),
    fc.tuple(fc.oneof(call, other), leaf).map(([fn, a]) => sql`${fn}(${a})`),
    fc.tuple(leaf, type).map(([a, as]) => sql`CAST(${a} AS ${as})`),
    fc.tuple(leaf, leaf, leaf).map(([a, b, c]) => sql`CASE WHEN ${a} THEN ${b} ELSE ${c} END`),
    fc.tuple(leaf, leaf).map(([a, b]) => sql`coalesce(${a}, ${b})`),
    leaf.map((a) => sql`(SELECT ${a} FROM ${table.name})`),
  );
}

/** Result columns, many of them of one name. */
function results(table: Table): fc.Arbitrary<Part> {
  const alias = fc.constantFrom('', '', ' AS x', ' AS "1"', ' AS "toString"', ' AS ""');
  const column = fc.tuple(expression(table), alias).map(([a, as]) => sql`${a}${as}`);
  return fc.oneof(
    fc.constant('*'),
    fc.array(column, { minLength: 1, maxLength: 5 }).map((each) => list(each)),
  );
}

function condition(table: Table): fc.Arbitrary<Part> {
  return fc.oneof(
    fc.constant(''),
    expression(table).map((each) => sql` WHERE ${each}`),
    expression(table).map((each) => sql` WHERE ${each} IS NOT NULL`),
  );
}

function select(table: Table, other: Table): fc.Arbitrary<Part> {
  const from = fc.constantFrom(
    table.name,
    table.name,
    `${table.name}, ${other.name}`,
    't, t AS t2',
  );
  const limit = fc.constantFrom('', '', ' LIMIT 3', ' LIMIT 0');
  return fc
    .tuple(results(table), from, condition(table), limit)
    .map(([columns, tables, where, some]) => sql`SELECT ${columns} FROM ${tables}${where}${some}`);
}

/** So many rows, in columns of one type and of several. */
function rows(count: number): Part {
  return sql`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${{ bind: count }})
    SELECT i, i * 0.5, i << 30, CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN 'é' || i
    WHEN 2 THEN zeroblob(i % 7) WHEN 3 THEN -0.0 ELSE i << 40 END AS mixed FROM c`;
}

function read(table: Table, other: Table): fc.Arbitrary<Part> {
  const some = expression(table);
  const inner = select(table, other);
  const aggregate = fc.constantFrom('count', 'sum', 'avg', 'min', 'max', 'total', 'group_concat');
  const pragma = fc.constantFrom('table_info', 'table_xinfo', 'index_list', 'foreign_key_list');
  const setting = fc.constantFrom('user_version', 'schema_version', 'encoding', 'page_count');
  const rare = fc.oneof(
    fc
      .tuple(aggregate, some, some)
      .map(([fn, a, b]) => sql`SELECT ${fn}(${a}), ${fn}(${b}) FROM ${table.name} GROUP BY ${b}`),
    fc
      .tuple(inner, some)
      .map(([q, a]) => sql`WITH q AS MATERIALIZED (${q}) SELECT *, ${a} FROM q, ${table.name}`),
    inner.map((q) => sql`WITH "replace"("insert") AS (SELECT 1) SELECT * FROM "replace", (${q})`),
    inner.map((q) => sql`EXPLAIN QUERY PLAN ${q}`),
    fc.constantFrom(1, 3, 20, 64, 65, 300).map(rows),
    fc.array(bound, { minLength: 1 }).map((each) => sql`VALUES (${list(each)})`),
    fc.tuple(bound, bound).map(([a, b]) => sql`SELECT ${a}, ${b} UNION ALL SELECT ${b}, 2`),
    fc.tuple(pragma, fc.constantFrom('t', 'u', 'none')).map(([p, t]) => `PRAGMA ${p}(${t})`),
    setting.map((name) => `PRAGMA ${name}`),
    fc.constant('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name'),
  );
  return fc.oneof({ arbitrary: inner, weight: 6 }, { arbitrary: rare, weight: 5 });
}

const CONFLICTS = [
  '',
  '',
  '',
  ' OR REPLACE',
  ' OR IGNORE',
  ' OR FAIL',
  ' OR ABORT',
  ' OR ROLLBACK',
];

function insert(table: Table, or: fc.Arbitrary<string>): fc.Arbitrary<Part> {
  return fc.subarray([...table.assignable], { minLength: 1 }).chain((columns) => {
    const row = fc.tuple(...columns.map(() => bound)).map((each) => sql`(${list(each)})`);
    const into = sql` INTO ${table.name} (${list(columns.map(name))})`;
    return fc
      .tuple(or, fc.array(row, { minLength: 1, maxLength: 3 }))
      .map(([how, each]) => sql`INSERT${how}${into} VALUES ${list(each)}`);
  });
}

/** What a table holds before the first step. */
export function filling(table: Table): fc.Arbitrary<Step[]> {
  const step = insert(table, fc.constant(' OR IGNORE')).map((part): Step => {
    const { text, params } = render(part, '?');
    return { sql: text, params, method: 'run', place: 'pool' };
  });
  return fc.array(step, { maxLength: 4 });
}

function write(table: Table, other: Table): fc.Arbitrary<Part> {
  const set = fc
    .array(fc.tuple(fc.constantFrom(...table.assignable), expression(table)), {
      minLength: 1,
      maxLength: 2,
    })
    .map((each) => list(each.map(([column, to]) => sql`${name(column)} = ${to}`)));
  const or = fc.constantFrom(...CONFLICTS);
  const conflict = fc.constantFrom(...table.unique).map(name);
  const upsert = fc.oneof(
    { arbitrary: fc.constant(''), weight: 4 },
    { arbitrary: fc.constant(' ON CONFLICT DO NOTHING'), weight: 1 },
    {
      arbitrary: fc
        .tuple(conflict, set)
        .map(([on, to]) => sql` ON CONFLICT (${on}) DO UPDATE SET ${to}`),
      weight: 1,
    },
  );
  const upserting = fc.tuple(insert(table, or), upsert).map(([each, then]) => sql`${each}${then}`);
  const where = condition(table);
  const statement = fc.oneof(
    { arbitrary: upserting, weight: 8 },
    { arbitrary: fc.constant(`INSERT INTO ${table.name} DEFAULT VALUES`), weight: 1 },
    {
      arbitrary: fc
        .tuple(conflict, expression(other))
        .map(
          ([column, a]) =>
            sql`REPLACE INTO ${table.name} (${column}) SELECT ${a} FROM ${other.name}`,
        ),
      weight: 1,
    },
    {
      arbitrary: fc
        .tuple(or, set, where)
        .map(([how, to, rest]) => sql`UPDATE${how} ${table.name} SET ${to}${rest}`),
      weight: 3,
    },
    { arbitrary: where.map((rest) => sql`DELETE FROM ${table.name}${rest}`), weight: 1 },
  );
  const withCte = fc
    .tuple(
      fc.constantFrom('', 'WITH c AS (SELECT 1) ', 'WITH "select"(a) AS (VALUES (1)) '),
      statement,
    )
    .map(([cte, each]) => sql`${cte}${each}`);
  const returning = fc.oneof(
    { arbitrary: fc.constant(''), weight: 1 },
    { arbitrary: results(table).map((each) => sql` RETURNING ${each}`), weight: 1 },
  );
  return fc.tuple(withCte, returning).map(([each, then]) => sql`${each}${then}`);
}

/** Changes of the schema, which statements that are prepared must follow. */
function schema(table: Table): fc.Arbitrary<Part> {
  const column = fc.constantFrom(...table.columns).map(name);
  return fc.oneof(
    column.map(
      (each) => `ALTER TABLE ${table.name} RENAME COLUMN ${each} TO ${each.slice(0, -1)}_r"`,
    ),
    column.map((each) => `ALTER TABLE ${table.name} ADD COLUMN ${each.slice(0, -1)}_n" DEFAULT 5`),
    column.map((each) => `ALTER TABLE ${table.name} DROP COLUMN ${each}`),
    column.map((each) => `CREATE INDEX ${table.name}_x ON ${table.name} (${each})`),
    fc.constant(`DROP INDEX ${table.name}_x`),
    fc.nat().map((version) => `PRAGMA user_version = ${version}`),
  );
}

const failing = fc.constantFrom(
  ...['', ' ', ';', '-- nothing', 'SELEC 1', 'SELECT', 'SELECT * FROM nowhere', 'SELECT nothing'],
  ...[
    'SELECT 1; SELECT 2',
    'INSERT INTO t',
    'DELETE FROM nowhere',
    'SELECT abs(-9223372036854775808)',
  ],
  ...[
    "SELECT json('{')",
    'SELECT 1 UNION SELECT 1, 2',
    "SELECT 'open",
    'SELECT ?, :a',
    'VALUES (1), (2, 3)',
  ],
  ...[
    'SELECT sum(9223372036854775807) FROM (VALUES (1), (1))',
    'SELECT 1 \0 2',
    'PRAGMA',
    'EXPLAIN',
  ],
  ...[
    'WITH c AS (SELECT 1)',
    'UPDATE sqlite_schema SET sql = 1',
    'SELECT RAISE(ABORT, 1)',
    'SELECT ?5',
  ],
  ...[
    'SELECT \'\uD800\' AS "\uD800"',
    'CREATE TABLE t (a)',
    'DROP TABLE nowhere',
    'SELECT nope(1)',
  ],
);

const before = fc.oneof(
  { arbitrary: fc.constant(''), weight: 6 },
  {
    arbitrary: fc.constantFrom(' \n', '-- DELETE\n', '/* INSERT */', '/**/ --\n\t', ';', '\uFEFF'),
    weight: 1,
  },
);
const after = fc.oneof(
  { arbitrary: fc.constant(''), weight: 6 },
  { arbitrary: fc.constantFrom(';', ' ;;', '; -- SELECT 1', '/* open', '; SELECT 1'), weight: 1 },
);

/** Parameters as they are, too few or too many of them, or none. */
function spoiled(params: Params, how: string): Params | undefined {
  if (how === 'none') return undefined;
  if (Array.isArray(params)) {
    if (how === 'less') return params.slice(1);
    return how === 'more' ? [...params, 1] : params;
  }
  const entries = Object.entries(params);
  if (how === 'less') return Object.fromEntries(entries.slice(1));
  return how === 'more' ? { ...params, extra: null } : params;
}

export function step(tables: readonly [Table, Table]): fc.Arbitrary<Step> {
  const pair = fc.constantFrom<[Table, Table]>([tables[0], tables[1]], [tables[1], tables[0]]);
  const statement = pair.chain(([table, other]) =>
    fc.oneof(
      { arbitrary: read(table, other), weight: 10 },
      { arbitrary: write(table, other), weight: 12 },
      { arbitrary: schema(table), weight: 1 },
      { arbitrary: failing, weight: 2 },
    ),
  );
  const spoil = fc.oneof(
    { arbitrary: fc.constant('not'), weight: 12 },
    { arbitrary: fc.constantFrom('less', 'more', 'none'), weight: 1 },
  );
  return fc
    .record({
      statement,
      before,
      after,
      spoil,
      style: fc.constantFrom(...STYLES),
      method: fc.constantFrom(...METHODS, 'run', 'query'),
      place: fc.constantFrom(...PLACES),
    })
    .map(({ statement, before, after, spoil, style, method, place }) => {
      const { text, params } = render(statement, style);
      return { sql: before + text + after, params: spoiled(params, spoil), method, place };
    });
}

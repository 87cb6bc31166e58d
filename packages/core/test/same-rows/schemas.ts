import fc from 'fast-check';
import { literal, name } from './sql.js';
import { text } from './values.js';

export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  /** Columns that may be assigned: those that are not generated. */
  readonly assignable: readonly string[];
  /** Columns that a conflict may be about. */
  readonly unique: readonly string[];
  readonly ddl: string;
}

/** Not `__proto__`, of which better-sqlite3 makes a row's prototype: see values.test.ts. */
const NAMES = [
  ...['a', 'b', 'C', 'a b', '1', '0', '10', '-1', 'constructor', 'toString', 'é'],
  ...['😀', '"q"', "'", '', '\u2028', '`', '\\', 'length', 'rows', 'then'],
];

const defaultValue = fc.oneof(
  fc.constantFrom(
    'NULL',
    '7',
    '-1.5',
    "x'00ff'",
    "x''",
    '(1 + 1)',
    "(upper('d'))",
    '9007199254740993',
  ),
  text.map(literal),
);

const check = fc.constantFrom(
  (column: string) => `CHECK (typeof(${column}) <> 'blob')`,
  (column: string) => `CHECK (length(${column}) < 5)`,
  (column: string) => `CHECK (${column} IS NOT 3)`,
);

interface Column {
  name: string;
  type: number;
  default: string | undefined;
  notNull: boolean;
  unique: boolean;
  noCase: boolean;
  check: ((column: string) => string) | undefined;
  generated: 'VIRTUAL' | 'STORED' | undefined;
}

/** Once in so many times. */
const once = <T>(times: number, arbitrary: fc.Arbitrary<T>) =>
  fc.oneof(
    { arbitrary: fc.constant(undefined), weight: times - 1 },
    { arbitrary: arbitrary, weight: 1 },
  );
const rarely = once(6, fc.constant(true)).map((found) => found === true);

const column: fc.Arbitrary<Column> = fc.record({
  name: fc.constantFrom(...NAMES),
  type: fc.nat(),
  default: once(3, defaultValue),
  notNull: rarely,
  unique: rarely,
  noCase: rarely,
  check: once(9, check),
  generated: once(7, fc.constantFrom('VIRTUAL', 'STORED')),
});

const TYPES = ['', 'INTEGER', 'REAL', 'TEXT', 'BLOB', 'NUMERIC', 'VARCHAR(3)', 'DATETIME', 'ANY'];
const STRICT_TYPES = ['INT', 'INTEGER', 'REAL', 'TEXT', 'BLOB', 'ANY'];

const KEYS = ['none', 'integer', 'autoincrement', 'first', 'both'] as const;

export function table(tableName: string): fc.Arbitrary<Table> {
  const columns = fc.uniqueArray(column, {
    selector: (each) => each.name.toLowerCase(),
    minLength: 1,
    maxLength: 5,
  });
  return fc
    .record({
      columns,
      strict: rarely,
      withoutRowid: rarely,
      key: fc.constantFrom(...KEYS),
      trigger: rarely,
    })
    .map(({ columns, strict, withoutRowid, key, trigger }) => {
      const types = strict ? STRICT_TYPES : TYPES;
      // A key needs a column that is stored; a table without rowids needs a key of its own kind.
      const [first, ...rest] = columns.map((each, at) => ({
        ...each,
        generated: at === 0 ? undefined : each.generated,
        noCase: each.noCase && !strict,
      })) as [Column, ...Column[]];
      const kind = withoutRowid && (key === 'none' || key === 'autoincrement') ? 'first' : key;
      const keys = [first, ...rest.filter((each) => each.generated === undefined).slice(0, 1)];
      const definitions = [first, ...rest].map((each) => define(each, first, types));
      if (kind === 'integer') definitions[0] = `${name(first.name)} INTEGER PRIMARY KEY`;
      if (kind === 'autoincrement') {
        definitions[0] = `${name(first.name)} INTEGER PRIMARY KEY AUTOINCREMENT`;
      }
      if (kind === 'first') definitions.push(`PRIMARY KEY (${name(first.name)})`);
      if (kind === 'both') {
        definitions.push(`PRIMARY KEY (${keys.map((each) => name(each.name)).join(', ')})`);
      }
      const options = [withoutRowid ? 'WITHOUT ROWID' : '', strict ? 'STRICT' : ''];
      const create = `CREATE TABLE ${tableName} (${definitions.join(', ')})`;
      const onInsert =
        `CREATE TRIGGER ${tableName}_i AFTER INSERT ON ${tableName} ` +
        `WHEN typeof(new.${name(first.name)}) = 'real' BEGIN SELECT RAISE(ABORT, 'no é reals'); END;`;
      return {
        name: tableName,
        columns: columns.map((each) => each.name),
        assignable: [first, ...rest.filter((each) => !each.generated)].map((each) => each.name),
        unique: [first, ...rest.filter((each) => each.unique)].map((each) => each.name),
        ddl:
          `${create} ${options.filter((option) => option !== '').join(', ')};\n` +
          (trigger ? onInsert : ''),
      };
    });
}

function define(column: Column, first: Column, types: readonly string[]): string {
  const own = name(column.name);
  const type = types[column.type % types.length] as string;
  const parts = [own, type];
  if (column.notNull) parts.push('NOT NULL');
  if (column.unique) parts.push('UNIQUE');
  if (column.noCase) parts.push('COLLATE NOCASE');
  if (column.check !== undefined) parts.push(column.check(own));
  if (column.generated !== undefined) {
    parts.push(
      `AS (typeof(${name(first.name)}) || quote(${name(first.name)})) ${column.generated}`,
    );
  } else if (column.default !== undefined) {
    parts.push(`DEFAULT ${column.default}`);
  }
  return parts.join(' ');
}

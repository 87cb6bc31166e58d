import { constants, type DatabaseSync } from 'node:sqlite';
import {
  type Change,
  Changes,
  changesOf,
  DELETE,
  INSERT,
  patchHead,
  type RawValue,
} from './changeset.js';

/** The bytes that begin a deletion and an insertion which nothing but the statement itself made. */
const DELETION = Uint8Array.of(DELETE, 0);
const INSERTION = Uint8Array.of(INSERT, 0);

/**
 * Applies a changeset that SQLite could not. It goes row by row, and solves by itself most circles in which rows give
 * each other what is UNIQUE, yet not those that run through two constraints. And where a primary key changes into one
 * that compares as the same (`'a'` into `'A'` under NOCASE, 1 into 1.0), its session tells of the row twice: as changed,
 * and as inserted with its new key. So all rows that the changeset names go first, and what shall be there is inserted
 * then, once. Values never leave SQLite's own format.
 *
 * Foreign keys and triggers must be off, and a transaction open. Returns false, and may leave a part done, where
 * the rows are not what the changeset says that they were.
 */
export function applyUntangled(
  db: DatabaseSync,
  changeset: Uint8Array,
  filter: (table: string) => boolean,
): boolean {
  const deletions = new Changes();
  const removals = new Changes();
  const replaced = new Changes();
  const insertions = new Changes();
  const updates: Change[] = [];
  /** The keys of what is inserted. */
  const inserted = new Set<string>();
  const patchHeads = new Map<Uint8Array, Uint8Array>();
  const patchHeadOf = (head: Uint8Array): Uint8Array => {
    const known = patchHeads.get(head) ?? patchHead(head);
    patchHeads.set(head, known);
    return known;
  };
  for (const change of changesOf(changeset)) {
    const { table, operation, before, after, bytes } = change;
    if (!filter(table.name)) continue;
    if (operation === DELETE) deletions.add(table.head, bytes);
    else if (operation === INSERT) {
      insertions.add(table.head, bytes);
      inserted.add(identity(change, after));
      replaced.add(patchHeadOf(table.head), DELETION, ...keyOf(after, table.keys));
    } else {
      updates.push(change);
      removals.add(patchHeadOf(table.head), DELETION, ...keyOf(before, table.keys));
    }
  }
  if (!apply(db, deletions)) return false;
  // What was in the rows that go: an update has no more of them than it changes.
  const rows = removed(db, () => apply(db, removals));
  if (rows === undefined) return false;
  for (const update of updates) {
    const row = rows.get(identity(update, update.before));
    const after = row === undefined ? undefined : updated(row, update);
    if (after === undefined) return false;
    insertions.add(update.table.head, INSERTION, ...after);
  }
  // A row that is there already may have a key that compares as the same; with the very same key it must not be there.
  const { SQLITE_CHANGESET_NOTFOUND } = constants;
  const others = removed(db, () => apply(db, replaced, SQLITE_CHANGESET_NOTFOUND));
  if (others === undefined || [...others.keys()].some((key) => inserted.has(key))) return false;
  // Insertions come before what updates leave: of a row that is told twice, the first has its last key.
  return apply(db, insertions, constants.SQLITE_CHANGESET_CONFLICT);
}

/** @param passable a kind of conflict that is no matter. */
function apply(db: DatabaseSync, changes: Changes, passable?: number): boolean {
  const { SQLITE_CHANGESET_OMIT, SQLITE_CHANGESET_ABORT } = constants;
  const onConflict = (type: number) =>
    type === passable ? SQLITE_CHANGESET_OMIT : SQLITE_CHANGESET_ABORT;
  return changes.isEmpty || db.applyChangeset(changes.bytes(), { onConflict });
}

/** The rows that `work` removes, each by its key; undefined where it fails. */
function removed(
  db: DatabaseSync,
  work: () => boolean,
): Map<string, readonly RawValue[]> | undefined {
  const session = db.createSession();
  try {
    if (!work()) return undefined;
    const rows = new Map<string, readonly RawValue[]>();
    for (const change of changesOf(session.changeset()))
      rows.set(identity(change, change.before), change.before);
    return rows;
  } finally {
    session.close();
  }
}

function keyOf(row: readonly RawValue[], keys: readonly boolean[]): RawValue[] {
  return row.filter((_, column) => keys[column]);
}

function identity({ table }: Change, row: readonly RawValue[]): string {
  return `${table.name}\0${Buffer.concat(keyOf(row, table.keys)).toString('latin1')}`;
}

/** The row as the update leaves it; undefined where it was not as the update says. */
function updated(row: readonly RawValue[], { before, after }: Change): RawValue[] | undefined {
  const values: RawValue[] = [];
  for (const [column, value] of row.entries()) {
    const old = before[column] as RawValue;
    if (old[0] !== 0 && !isSame(old, value)) return undefined;
    const next = after[column] as RawValue;
    values.push(next[0] === 0 ? value : next);
  }
  return values;
}

/** A session takes 0.0 and -0.0 for one, as SQL does, so that replicas may differ in that. */
function isSame(value: RawValue, other: RawValue): boolean {
  if (Buffer.compare(value, other) === 0) return true;
  return value[0] === 2 && other[0] === 2 && real(value) === 0 && real(other) === 0;
}

function real(value: RawValue): number {
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getFloat64(1);
}

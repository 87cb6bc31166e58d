/** Fixed there: two connections that write and checkpoint could corrupt the database.
 * https://sqlite.org/wal.html#the_wal_reset_bug */
export const OLDEST_SQLITE = '3.51.3';

/** Whether a version of SQLite is older than the pool needs. */
export function isOlder(version: string): boolean {
  const parts = version.split('.').map(Number);
  const oldest = OLDEST_SQLITE.split('.').map(Number);
  for (let i = 0; i < oldest.length; i++) {
    const difference = (parts[i] ?? 0) - (oldest[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

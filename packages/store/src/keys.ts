/** The names of all objects of one log. */

const DIGITS = 20;

/** Numbers in keys sort as they count. */
function padded(number: number): string {
  return String(number).padStart(DIGITS, '0');
}

/** The entries, each for ever: `log/{number}`. */
export const LOG = 'log/';
/** What is too large for an entry: `segments/{number of the entry}-{uuid}`. */
export const SEGMENTS = 'segments/';
/** Whole databases: `snapshots/{number of the last entry in it}`. */
export const SNAPSHOTS = 'snapshots/';
/** The bytes of a snapshot, in pieces: `pieces/{number}-{uuid}`. */
export const PIECES = 'pieces/';

/** The key of an entry. */
export function entryKey(number: number): string {
  return LOG + padded(number);
}

/** The key of a snapshot. */
export function snapshotKey(number: number): string {
  return SNAPSHOTS + padded(number);
}

/** The key of a segment or of a piece; the number is that of the entry or snapshot it is for. */
export function partKey(
  place: typeof SEGMENTS | typeof PIECES,
  number: number,
  uuid: string,
): string {
  return `${place}${padded(number)}-${uuid}`;
}

const NUMBERED = /^[a-z]+\/(\d{20})(?:$|-)/;

/** The number in a key; undefined where it has none: somebody else's object. */
export function numberOf(key: string): number | undefined {
  const [, digits] = NUMBERED.exec(key) ?? [];
  const number = Number(digits ?? Number.NaN);
  return Number.isSafeInteger(number) ? number : undefined;
}

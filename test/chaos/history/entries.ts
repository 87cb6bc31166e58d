/** What a transaction did to the lists, each of which belongs to a key. */
export type Step =
  /** It put a value at the end of a list. No value is put anywhere twice. */
  | { do: 'append'; key: number; value: number }
  /** It read a list. */
  | { do: 'read'; key: number; list: readonly number[] };

/** A transaction, as its caller saw it: of one statement or of several. */
export interface Entry {
  /** Who called, and how. */
  readonly name: string;
  /** When it was called and when it was answered, by one clock for all. */
  readonly start: number;
  readonly end: number;
  readonly steps: readonly Step[];
  /** What its caller heard: it is stored, it is not, or nobody knows. */
  readonly outcome: 'stored' | 'refused' | 'unknown';
}

/** What was stored at the end, by key. */
export type Final = ReadonlyMap<number, readonly number[]>;

/** What must not be in a history. */
export interface Anomaly {
  /** As the literature calls it: https://jepsen.io/consistency/phenomena */
  readonly name: string;
  readonly text: string;
}

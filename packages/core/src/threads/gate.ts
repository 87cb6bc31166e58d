import type { Transferable } from 'node:worker_threads';

/**
 * What decides, on the writer thread, whether a transaction may be committed: it is told of everything that runs
 * there, and asked before each COMMIT. A store makes one (`PoolStore`); without a store there is none.
 * Everything here is synchronous, since SQLite is.
 */
export interface CommitGate {
  /** The writer has begun a transaction: BEGIN has run. */
  begun(): void;
  /**
   * A statement is about to run, in a transaction or not; it may be told twice. `'local'`: nobody else needs to
   * know of it (a read, a setting of the connection), so it needs no transaction.
   *
   * @throws GateError where it must not run.
   */
  before(sql: string): 'local' | 'replicated';
  /** It has run without an error. */
  after(sql: string): void;
  /** ROLLBACK TO has run: to a savepoint of the pool's own; those of others are statements. */
  undoneTo(): void;
  /**
   * COMMIT is about to run.
   *
   * @throws GateError where it must not; the transaction is rolled back then, or its last savepoint.
   */
  propose(): void;
  /** COMMIT has run. */
  committed(): void;
  /** ROLLBACK has run. Where `propose` threw before, it may set `again` of its error. */
  rolledBack(): void;
  /** The store's message to it, while no transaction is open. */
  turn(message: unknown): void;
  /** The writer's connection is about to close. */
  close(): void;
}

/** What a gate throws. */
export interface GateError extends Error {
  /** POOL_CONFLICT, POOL_OUTCOME_UNKNOWN, POOL_MISUSE, …: as a PoolError has it. */
  code: string;
  /** Whether the same statements may run again at once, on the state of now. */
  again?: boolean;
}

/** What a gate is made with. */
export interface GateContext {
  /** The connection that writes: under `driver: 'node:sqlite'` a DatabaseSync. */
  readonly writer: unknown;
  /** Another connection to the file, which may write: set up as the writer is, with `defensive` off. */
  open(): unknown;
  /** What the store has for its gate. */
  readonly data: unknown;
  /**
   * Asks the store, on the calling thread, and waits for what it says.
   *
   * @throws what the store threw: its name, message and code.
   */
  ask(question: unknown, transfer?: readonly Transferable[]): unknown;
}

/** What the gate's module exports by default. */
export type OpenGate = (context: GateContext) => CommitGate;

/** Loads the module that opens a gate, where there is one. */
export async function loadGate(
  gate: { module: string } | undefined,
): Promise<OpenGate | undefined> {
  if (gate === undefined) return undefined;
  const { default: open } = (await import(gate.module)) as { default?: unknown };
  if (typeof open === 'function') return open as OpenGate;
  throw new TypeError(`the gate ${gate.module} must export a function by default`);
}

/** The codes with which a gate ends a transaction as a whole: no part of it can be committed without the rest. */
const FINAL: ReadonlySet<unknown> = new Set([
  'POOL_CONFLICT',
  'POOL_OUTCOME_UNKNOWN',
  'POOL_STORE',
  'POOL_CLOSED',
]);

/** Whether a commit was refused, with all who share it. */
export function isRefusedCommit(error: unknown): boolean {
  return FINAL.has((error as { code?: unknown } | null)?.code);
}

/** Whether what was refused, and rolled back, may run again. */
export function runsAgain(error: unknown): boolean {
  return isRefusedCommit(error) && (error as GateError).again === true;
}

/** Tells the gate of a statement of the pool's own that has run. */
export function tellOf(gate: CommitGate, sql: string): void {
  if (sql === 'COMMIT') gate.committed();
  else if (sql === 'ROLLBACK') gate.rolledBack();
  else if (sql.startsWith('ROLLBACK TO')) gate.undoneTo();
  else if (sql.startsWith('BEGIN')) gate.begun();
}

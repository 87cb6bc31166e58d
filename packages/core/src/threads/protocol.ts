import type { MessagePort } from 'node:worker_threads';
import type { BeginBehavior } from '../statements/classify.js';
import type { BoundParams } from '../statements/params.js';
import type { ConnectionOptions } from './connection.js';
import type { QuestionsData } from './questions.js';

/**
 * Everything that crosses between the calling thread and the pool's threads, in one place.
 *
 * A post carries a list of commands or of answers, so that what is issued in one tick travels
 * together. Statements are sent as text once and by number afterwards. Many small tasks travel
 * flat, in one array of words: V8 clones one long dense array several times faster than as many
 * small objects.
 */

/** How a statement's rows are wanted; better-sqlite3's ways to run a statement, and two for any. */
export const Method = {
  /** Rows as objects. */
  all: 0,
  /** The first row as an object. */
  get: 1,
  /** Rows as arrays. */
  values: 2,
  /** The first row as an array, in a list of one; an empty list where there is none. */
  firstValues: 3,
  /** `{ changes, lastInsertRowid }`. */
  run: 4,
  /** Rows as objects where the statement returns rows, and the changes in any case. */
  query: 5,
  /** The same with rows as arrays. */
  queryValues: 6,
} as const;
export type Method = (typeof Method)[keyof typeof Method];

/**
 * The words of one statement: `statement, method, count, ...params`. A count of -1 says that one
 * object of named parameters follows. In a group, a statement number of -1 opens a batch:
 * `-1, statements, then each statement's words`.
 */
export type Words = unknown[];
export const BATCH = -1;
/** Opens a unit that must be done once: `-2, client, number, answered, then the unit`. */
export const ONCE = -2;
const NAMED = -1;

export function pushStatement(
  words: Words,
  statement: number,
  method: Method,
  params: BoundParams,
): void {
  if (params === undefined) {
    words.push(statement, method, 0);
  } else if (Array.isArray(params)) {
    words.push(statement, method, params.length);
    for (let i = 0; i < params.length; i++) words.push(params[i]);
  } else {
    words.push(statement, method, NAMED, params);
  }
}

/** Reads what `pushStatement` wrote, from one place to the next. */
export class WordReader {
  readonly words: Words;
  at = 0;

  constructor(words: Words) {
    this.words = words;
  }

  get done(): boolean {
    return this.at >= this.words.length;
  }

  number(): number {
    return this.words[this.at++] as number;
  }

  method(): Method {
    return this.words[this.at++] as Method;
  }

  /** What better-sqlite3 takes as the one argument of `run`, `get` and `all`. */
  params(): unknown[] | object {
    const count = this.words[this.at++] as number;
    if (count === NAMED) return this.words[this.at++] as object;
    const from = this.at;
    this.at += count;
    return this.words.slice(from, this.at);
  }
}

/** From the calling thread to a pool thread. */
export type Command =
  /** Statement numbers that later commands use, and their texts. */
  | { type: 'define'; ids: number[]; texts: string[] }
  /** Statement numbers that will not be used again. */
  | { type: 'forget'; ids: number[] }
  /** Open the connection: to readers, once the writer has made the file ready. */
  | { type: 'open' }
  /** One-shot reads: `ticket, slot, statement, method, count, ...params` each. */
  | { type: 'reads'; words: Words }
  /**
   * One-shot writes and batches, to be committed together: their number, then their words. `early`
   * is how many groups the sender knows to have ended early; groups are numbered.
   */
  | { type: 'group'; early: number; group: number; words: Words }
  /**
   * A transaction begins on the writer; its first statement travels behind. `alone`, which only
   * another process is told: it must not share its commit with what ended before.
   */
  | { type: 'begin'; behavior: BeginBehavior; readonly: boolean; alone?: boolean }
  /**
   * The transaction ends. `share`: its COMMIT may wait for the transaction that follows; to another
   * process: the turn ends with it, and that process decides. `next`: what follows is the first of
   * those that ran ahead.
   */
  | { type: 'end'; task: number; how: 'commit' | 'rollback'; share: boolean; next?: boolean }
  /** The first statement of a transaction whose turn is still to come: see `AheadRun`. */
  | { type: 'ahead'; task: number; words: Words }
  /** COMMIT what ended transactions left waiting: none follows after all. */
  | { type: 'settle' }
  /** One statement on a connection that somebody holds (session 0 is the writer's own). */
  | { type: 'execute'; task: number; session: number; words: Words }
  /** A script on it; `alone` where nobody holds it: no transaction may stay open then. */
  | { type: 'exec'; task: number; session: number; script: string; alone: boolean }
  /** A reader's connection of its own for a lease, a snapshot or a stream. */
  | { type: 'session'; task: number; session: number; snapshot: boolean }
  | { type: 'leave'; session: number; clean: boolean }
  /** A stream over one statement's rows, fetched in chunks. */
  | { type: 'cursor'; task: number; session: number; cursor: number; words: Words; rows: number }
  | { type: 'fetch'; task: number; session: number; cursor: number; rows: number }
  | { type: 'drop'; session: number; cursor: number }
  /** Bulk: one statement, many parameter sets, one transaction, in chunks. */
  | { type: 'bulk'; task: number; statement: number }
  | { type: 'rows'; columns: ArrayLike<unknown>[]; names: string[] | undefined; count: number }
  | { type: 'bulk-end'; task: number; commit: boolean }
  /**
   * Checkpoint where at least so many pages are in the WAL alone (`least`); otherwise tell only. Locks are
   * waited for so many ms (`patience`).
   */
  | { type: 'checkpoint'; task: number; mode: string; least: number; patience: number }
  /** From now on commits are told of, with so many rowids of each table; or not any more. */
  | { type: 'feed'; task: number; on: boolean; rowids: number }
  /** A store's message to the gate; no transaction is open. */
  | { type: 'gate'; task: number; message: unknown }
  /** Look whether another connection has committed. */
  | { type: 'look' }
  /** Asks another process for a turn on its writer. `limit`: how long it may last, in ms. */
  | { type: 'turn'; turn: number; kind: string; limit: number }
  /** It is not wanted any more, whether it was granted or not. */
  | { type: 'withdraw'; turn: number }
  /** Close the connections; the writer empties the WAL before, where `checkpoint` says so. */
  | { type: 'close'; task: number; checkpoint: boolean };

/** How a statement's result begins; what follows it in the words is in the comment. */
export const Outcome = {
  /** `changes, lastInsertRowid` */
  run: 0,
  /** nothing: `get` found no row, or `all` none */
  none: 1,
  /** `shape, blobs, ...values`: one object */
  row: 2,
  /** `shape, rows, blobs, ...values`: objects, few */
  rows: 3,
  /** `columns, rows, blobs, ...values`: arrays, few */
  values: 4,
  /** `Block`: objects or arrays, many */
  block: 5,
  /** `Failure` */
  error: 6,
  /** `changes, lastInsertRowid`, then the outcome with the rows */
  query: 7,
  /** `count`, then as many outcomes: the statements of a batch */
  batch: 8,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** Many rows, as an array per column: typed where all its values fit. */
export interface Block {
  /** The number of the column names, -1 for rows as arrays. */
  shape: number;
  rows: number;
  columns: ArrayLike<unknown>[];
  /** Indexes of the columns that hold blobs: structured clone makes a Buffer a Uint8Array. */
  blobs: number[];
  /** Whether more blocks of the same result follow. */
  more: boolean;
}

/** An error as it crosses: structured clone would lose the class and the code. */
export interface Failure {
  name: string;
  message: string;
  code?: string;
  /** The place in the batch or in the parameter sets, from 0. */
  index?: number;
}

/** What a thread says about its connection once it is open. */
export interface OpenedInfo {
  sqliteVersion: string;
  journalMode: string;
  /** The files that it attaches. */
  attached: string[];
  /** Why it has no extension that interrupts it; '' where it has. */
  noHooks: string;
}

/** What a checkpoint found and did: https://sqlite.org/pragma.html#pragma_wal_checkpoint */
export interface CheckpointOutcome {
  busy: number;
  /** Pages in the WAL, and how many of them are in the database file; -1 where nobody could tell. */
  log: number;
  checkpointed: number;
  /** Pages that this checkpoint moved. */
  moved: number;
  /** Bytes of one page. */
  pageSize: number;
  /** Bytes that are in use of the largest WAL of an attached database, and pages left in all of them. */
  besideBytes: number;
  besideLeft: number;
  /** How long it took, in ms. */
  ms: number;
}

/** From a pool thread to the calling thread. */
export type Answer =
  | { type: 'opened'; info: OpenedInfo }
  | { type: 'failed'; failure: Failure }
  /** A result's column names, sent once before their number is used; the first in use is `since`. */
  | { type: 'shape'; id: number; keys: string[]; since: number }
  /** One-shot reads: `task, microseconds, outcome, ...` each. */
  | { type: 'reads'; words: Words }
  /** The first `ran` units of a group are committed, an outcome each; the rest must come again. */
  | { type: 'group'; ran: number; microseconds: number; words: Words }
  /** One statement on a held connection, and whether a transaction is open on it now. */
  | { type: 'held'; task: number; inTransaction: boolean; words: Words }
  /** Some rows of a stream: one outcome. */
  | { type: 'chunk'; task: number; done: boolean; inTransaction: boolean; words: Words }
  /** These calls are done, or failed together. */
  | { type: 'done'; tasks: number[]; failure: Failure | undefined; inTransaction: boolean }
  /** So many more parameter sets of a bulk ran. */
  | { type: 'progress'; ran: number; changes: number; failed: boolean }
  /** The lock was found taken so often before the last post's work began. */
  | { type: 'busy'; retries: number }
  /** Something was committed: what it changed, see `Changed`. */
  | { type: 'changed'; text: string }
  | ({ type: 'checkpoint'; task: number } & CheckpointOutcome);

/** Words of the shared memory between the calling thread and one pool thread. */
export const Control = {
  /** Raised with every post, so that a thread may sleep on it instead of in its event loop. */
  wake: 0,
  /** 1 from before a commit until its answer is sent: a thread that dies between the two leaves
   * an unknown outcome. */
  committing: 1,
  /** 1 when the pool closes in haste: a wait for a lock ends at once. */
  hurry: 2,
  /** The ticket of the read that the thread ran last: what it died of, where it died. */
  running: 3,
  /** Raised with every post of the thread. */
  answered: 4,
  /** The number of the work that runs and may be interrupted; 0 where none does. */
  current: 5,
  /** Not 0 while the calling thread interrupts: the thread waits before its next statement. */
  interrupting: 6,
  /** The number, in the extension, of the connection that the work runs on. */
  connection: 7,
  /** 1 where to interrupt what runs would undo the work of others too. */
  shared: 8,
  /** 1 while the thread sleeps on `wake`. */
  sleeping: 9,
  /** Of each mailbox: the bytes of what is in it, 0 where it is empty; how many messages were taken
   * from the port; and 1 while its receiver looks at it. See `mailbox.ts`. */
  commandBytes: 10,
  commandsTaken: 11,
  threadAwake: 12,
  answerBytes: 13,
  answersTaken: 14,
  callerAwake: 15,
  /** A word for each unit of two groups, and for as many calls: who has claimed it. */
  units: 16,
  tasks: 16 + 2 * 512,
  /** How many words there are. */
  words: 16 + 4 * 512,
} as const;

/** The word of a call, by its number. */
export function taskWord(task: number): number {
  return Control.tasks + (task & 1023);
}

/** The word of a unit, by the number of its group and its place there: two groups at most are under way. */
export function unitWord(group: number, index: number): number {
  return Control.units + (group & 1) * 512 + index;
}

/** The number of a unit while it runs; those of calls are negative. */
export function unitTicket(group: number, index: number): number {
  return (group & 0x1f_ffff) * 512 + index + 1;
}

export type Role = 'reader' | 'writer' | 'upkeep';

/** What a new thread is given. */
export interface ThreadData {
  role: Role;
  port: MessagePort;
  control: Int32Array;
  mailboxes: { commands: Uint8Array; answers: Uint8Array };
  /** The claim words of one-shot reads, shared by all readers. */
  claims: Int32Array;
  /** What this thread leaves in a claim word it takes: negative, so never a ticket. */
  mark: number;
  connection: ConnectionOptions;
  /** The writer's, where somebody is asked before it commits. */
  gate: GateData | undefined;
}

/** What a thread needs to open a gate: its module's URL, what that is given, and the way back. */
export interface GateData {
  module: string;
  data: unknown;
  questions: QuestionsData;
}

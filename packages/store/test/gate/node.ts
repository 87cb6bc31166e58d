import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { CommitGate } from '@poolite/core';
import openGate, { type GateSettings } from '../../src/gate/program.ts';
import type { Answer, Question } from '../../src/questions.ts';
import { contentOf } from './content.ts';
import type { MemoryLog } from './memory-log.ts';

export interface NodeOptions extends GateSettings {
  /** Sees each question before the log does, and may answer in its place. */
  asked?: (question: Question) => Answer | undefined;
  /** Runs on the new file before the gate is opened. */
  before?: (db: DatabaseSync) => void;
}

/** A machine: a file, and a gate that is driven as the core drives it. */
export class Node {
  readonly file: string;
  readonly writer: DatabaseSync;
  readonly gate: CommitGate;
  /** As the core does, each text is prepared once, whichever transaction needs it. */
  readonly #prepared = new Map<string, StatementSync>();
  readonly #extra: DatabaseSync[] = [];

  constructor(file: string, log: MemoryLog, { asked, before, ...data }: NodeOptions = {}) {
    this.file = file;
    this.writer = open(file);
    before?.(this.writer);
    const answer = log.replica(file, asked);
    this.gate = openGate({
      writer: this.writer,
      open: () => open(file),
      data,
      ask: (question, transfer) =>
        answer(
          structuredClone(question as Question, {
            transfer: [...(transfer ?? [])] as ArrayBuffer[],
          }),
        ),
    });
  }

  /** Another connection, as a reader has one. */
  reader(): DatabaseSync {
    const db = open(this.file);
    this.#extra.push(db);
    return db;
  }

  /** A statement in a commit of its own, again after a conflict; its rows. */
  run(sql: string, ...values: SQLInputValue[]): unknown[] {
    if (this.gate.before(sql) === 'local') return this.statement(sql, ...values);
    return this.transaction(() => this.statement(sql, ...values));
  }

  /** Statements one behind the other, each in a commit of its own. */
  runAll(...statements: readonly string[]): void {
    for (const sql of statements) this.run(sql);
  }

  /** A statement in the transaction that is open. */
  statement(sql: string, ...values: SQLInputValue[]): unknown[] {
    this.gate.before(sql);
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.writer.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    const rows = statement.all(...values);
    this.gate.after(sql);
    return rows;
  }

  transaction<T>(work: () => T): T {
    for (;;) {
      this.writer.exec('BEGIN IMMEDIATE');
      this.gate.begun();
      try {
        const result = work();
        this.commit();
        return result;
      } catch (error) {
        if (this.writer.isTransaction) this.writer.exec('ROLLBACK');
        this.gate.rolledBack();
        if ((error as { again?: boolean }).again !== true) throw error;
      }
    }
  }

  commit(): void {
    this.gate.propose();
    this.writer.exec('COMMIT');
    this.gate.committed();
  }

  /** What the core's own savepoints do: the gate hears of their undoing alone. */
  savepoint(work: () => void): void {
    this.writer.exec('SAVEPOINT poolite_transaction');
    try {
      work();
    } catch {
      this.writer.exec('ROLLBACK TO poolite_transaction');
      this.gate.undoneTo();
    }
    this.writer.exec('RELEASE poolite_transaction');
  }

  pull(): void {
    this.gate.turn({ type: 'pull' });
  }

  /** What a new connection finds: FTS5's integrity check goes by what its connection has read before. */
  content(): Record<string, unknown> {
    const db = open(this.file);
    try {
      return contentOf(db);
    } finally {
      db.close();
    }
  }

  close(): void {
    for (const db of this.#extra) db.close();
    this.gate.close();
    this.writer.close();
  }
}

/** Nodes on files of their own in a new folder, which goes with them. */
export class Nodes {
  readonly folder = mkdtempSync(join(tmpdir(), 'poolite-gate-'));
  readonly #nodes: Node[] = [];

  open(log: MemoryLog, name: string, options?: NodeOptions): Node {
    const node = new Node(join(this.folder, name), log, options);
    this.#nodes.push(node);
    return node;
  }

  /** Before the end: another process is to open the file. */
  close(node: Node): void {
    node.close();
    this.#nodes.splice(this.#nodes.indexOf(node), 1);
  }

  [Symbol.dispose](): void {
    for (const node of this.#nodes) node.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function open(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { enableForeignKeyConstraints: true });
  (db as DatabaseSync & { enableDefensive?(on: boolean): void }).enableDefensive?.(false);
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA busy_timeout = 5000; PRAGMA wal_autocheckpoint = 0',
  );
  return db;
}

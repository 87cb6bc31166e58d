import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Entry } from '../../src/entry.ts';
import type { Answer, Question } from '../../src/questions.ts';

/** Puts a database in the place of another that is open elsewhere, from a process of its own. */
const REPLACE = `
  import { backup, DatabaseSync } from 'node:sqlite';
  const [source, target] = process.argv.slice(1);
  const db = new DatabaseSync(source);
  await backup(db, target);
  db.close();`;

/** Puts the database `source` in the place of the one in `target`, while that is open. */
export function replaceInPlace(source: string, target: string): void {
  execFileSync(process.execPath, [
    '--no-warnings',
    '--input-type=module',
    '-e',
    REPLACE,
    source,
    target,
  ]);
}

/** A log of entries in memory: what a bucket is to a replica, and the replica to a gate. */
export class MemoryLog {
  readonly entries: Entry[] = [];
  /** Entries that one answer has at most. */
  batch = 32;
  /** Attempts after which a proposal that was beaten is not to be tried again. */
  retries = 10;

  /** What the replica of one file answers; `asked` sees each question first, and may answer in its place. */
  replica(file: string, asked: (question: Question) => Answer | undefined = () => undefined) {
    return (question: Question): Answer =>
      structuredClone(asked(question) ?? this.#answer(file, question));
  }

  #answer(file: string, question: Question): Answer {
    const { number, token } = question.position;
    switch (question.type) {
      case 'opened':
        return { type: 'entries', entries: [], more: false, again: true };
      case 'propose': {
        const isNext =
          number === this.entries.length && token === (this.entries.at(-1)?.token ?? '');
        if (!isNext) return { type: 'conflict' };
        const entry = {
          ...question.entry,
          number: number + 1,
          token: question.token,
          previous: token,
        };
        this.entries.push(entry);
        return { type: 'stored' };
      }
      case 'catchUp': {
        const entries = this.entries.slice(number, number + this.batch);
        const more = number + entries.length < this.entries.length;
        return { type: 'entries', entries, more, again: question.attempt <= this.retries };
      }
      case 'restore': {
        const source = `${file}-restore-${number}`;
        writeFileSync(source, question.snapshot);
        replaceInPlace(source, file);
        return { type: 'restored' };
      }
      case 'quarantine':
        throw new Error(`quarantined at ${number}: ${question.reason}`);
    }
  }
}

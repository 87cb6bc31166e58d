import type { DatabaseSync } from 'node:sqlite';

const NAMES = ['user_version', 'application_id'] as const;

type Name = (typeof NAMES)[number];

/** The two numbers in the head of the file that are the application's own, and part of its transactions. */
export class Settings {
  readonly #db: DatabaseSync;
  #before: Record<Name, number> | undefined;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Before one of them may change. */
  mark(): void {
    this.#before ??= this.read();
  }

  forget(): void {
    this.#before = undefined;
  }

  /** What is other than at the mark. */
  changed(): { userVersion?: number; applicationId?: number } {
    const before = this.#before;
    if (before === undefined) return {};
    const now = this.read();
    return {
      ...(now.user_version === before.user_version ? {} : { userVersion: now.user_version }),
      ...(now.application_id === before.application_id
        ? {}
        : { applicationId: now.application_id }),
    };
  }

  read(): Record<Name, number> {
    const [version, id] = NAMES.map((name) => {
      const row = this.#db.prepare(`PRAGMA main.${name}`).get() as Record<string, number>;
      return row[name] as number;
    });
    return { user_version: version as number, application_id: id as number };
  }
}

import { fileURLToPath } from 'node:url';
import type { Pool } from '@poolite/core';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, onTestFinished } from 'vitest';

/** A plain better-sqlite3 connection beside the pool: it sees what is committed, nothing else. */
export function observe(pool: Pool): Database.Database {
  const observer = new Database(pool.file, { timeout: 0 });
  onTestFinished(() => {
    observer.close();
  });
  return observer;
}

/** Makes every test of the file fail that leaves a rejection unhandled. */
export function refuseUnhandled(): void {
  let unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  beforeEach(() => {
    unhandled = [];
    process.on('unhandledRejection', note);
  });
  afterEach(async () => {
    await turn(3);
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
}

/** Lets the event loop turn. */
export async function turn(times = 1): Promise<void> {
  for (let i = 0; i < times; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Holds whoever awaits `opened`, until somebody opens it. */
export class Gate {
  readonly opened: Promise<void>;
  #open: () => void = () => {};

  constructor() {
    this.opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open();
  }
}

/** An SQL expression that takes its time: about 50 ns a row. */
export const SLOW =
  '(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT ?) SELECT count(*) FROM c)';

/** The file name of a test, as stacks show it. */
export function fileOf(meta: ImportMeta): string {
  return fileURLToPath(meta.url);
}

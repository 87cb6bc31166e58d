import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createPool, type Pool } from '@poolite/core';
import Database from 'better-sqlite3';
import { afterAll, onTestFinished } from 'vitest';
import { freshFile, freshFolder, openPool } from './folder.ts';

export const ACCOUNTS = 100;
export const CENTS = 1000;

/** What many tests of a file begin with is made once, and copied for each of them. */
const originals = new Map<string, Promise<string>>();

afterAll(async () => {
  for (const file of await Promise.all(originals.values())) {
    rmSync(dirname(file), { recursive: true, force: true });
  }
});

/** The file that `make` makes in a folder of its own, where it was not made before. */
export function original(name: string, make: (file: string) => Promise<void>): Promise<string> {
  const made = originals.get(name) ?? makeOriginal(make);
  originals.set(name, made);
  return made;
}

async function makeOriginal(make: (file: string) => Promise<void>): Promise<string> {
  const file = join(mkdtempSync(join(tmpdir(), 'poolite-')), 'app.db');
  await make(file);
  return file;
}

/** A database with accounts that hold the same sum for ever, and so many MB beside them. */
export async function bank(file: string, megabytes: number): Promise<Pool> {
  copyFileSync(await original(`${megabytes} MB`, (to) => makeBank(to, megabytes)), file);
  const pool = openPool(file, { readers: 1 });
  // Its WAL is there from now on.
  await pool.ready();
  await pool.get('SELECT count(*) FROM account');
  return pool;
}

async function makeBank(file: string, megabytes: number): Promise<void> {
  const pool = createPool(file, { readers: 1 });
  await pool.exec(`
    CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL);
    CREATE TABLE ballast (id INTEGER PRIMARY KEY, bytes BLOB);
    CREATE INDEX by_bytes ON ballast (substr(bytes, 1, 8));
  `);
  const accounts = Array.from({ length: ACCOUNTS }, () => [CENTS]);
  await pool.runMany('INSERT INTO account (cents) VALUES (?)', accounts);
  const rows = Array.from({ length: megabytes * 100 }, () => [10_000]);
  await pool.runMany('INSERT INTO ballast (bytes) VALUES (randomblob(?))', rows);
  await pool.close();
}

/** The same with little beside the accounts, and where it is. */
export async function smallBank(): Promise<{ pool: Pool; file: string; folder: string }> {
  const file = freshFile('app.db');
  return { pool: await bank(file, 1), file, folder: dirname(file) };
}

/** Callers who move money between accounts until they are stopped; how many moves each made. */
export function moveMoney(pool: Pool, callers: number): () => Promise<number[]> {
  let going = true;
  const all = Array.from({ length: callers }, async (_, caller) => {
    let moves = 0;
    for (; going; moves++) {
      const from = 1 + ((moves * 7 + caller * 13) % ACCOUNTS);
      const to = 1 + ((moves * 31 + caller * 3 + 1) % ACCOUNTS);
      await pool.transaction(async (tx) => {
        await tx.run('UPDATE account SET cents = cents - 1 WHERE id = ?', [from]);
        await tx.run('UPDATE account SET cents = cents + 1 WHERE id = ?', [to]);
      });
    }
    return moves;
  });
  return () => {
    going = false;
    return Promise.all(all);
  };
}

/** What plain better-sqlite3 finds in a file that must be whole by itself. */
export function inspect(file: string): { check: string; sum: number; ballast: number } {
  const db = new Database(file, { readonly: true, fileMustExist: true });
  try {
    return {
      check: db.pragma('integrity_check', { simple: true }) as string,
      sum: db.prepare('SELECT sum(cents) FROM account').pluck().get() as number,
      ballast: db.prepare('SELECT count(*) FROM ballast').pluck().get() as number,
    };
  } finally {
    db.close();
  }
}

/** A small file system of its own; the reason where none can be mounted. */
export function smallDisk(megabytes: number): { folder: string } | { reason: string } {
  const folder = join(freshFolder(), 'disk');
  mkdirSync(folder);
  const args = ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder];
  const { status, stderr, error } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) return { reason: error?.message ?? stderr.trim() };
  onTestFinished(() => {
    spawnSync('umount', [folder]);
  });
  return { folder };
}

/** What killed processes left in a folder. */
export function leftovers(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.poolite-tmp'));
}

/** Makes what killed processes left look old enough to be taken for that. */
export function age(folder: string): void {
  const past = new Date(Date.now() - 3_600_000);
  for (const name of leftovers(folder)) utimesSync(join(folder, name), past, past);
}

export function remove(...files: string[]): void {
  for (const file of files) rmSync(file, { force: true });
}

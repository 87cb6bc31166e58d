import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { verifyBackup } from '@poolite/core';
import { expect, test } from 'vitest';
import { bank, smallBank } from './support/backups.ts';
import { failure, freshFile, openPool, outcome } from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';

refuseUnhandled();

test('an aborted backup leaves nothing, at any moment of it', async () => {
  const file = freshFile('app.db');
  const pool = await bank(file, 6);
  const folder = dirname(file);
  const before = readdirSync(folder).sort();
  const target = join(folder, 'backup');
  const reason = new Error('enough');
  expect(await outcome(pool.backup(target, { signal: AbortSignal.abort() }))).toBe('POOL_ABORTED');
  /** Gives a backup up when no more than this share of it remains; its error, if it has one. */
  const givenUp = (share: number) => {
    const controller = new AbortController();
    const backup = pool.backup(target, {
      signal: controller.signal,
      compress: 'gzip',
      pace: 60,
      onProgress: ({ totalPages, remainingPages }) => {
        if (remainingPages <= totalPages * share) controller.abort(reason);
      },
    });
    return backup.then(
      () => undefined,
      (error: Error & { code?: string }) => error,
    );
  };
  for (const share of [1, 0.5, 0]) {
    let error = await givenUp(share);
    // Where a report comes late, the backup is in place already, and whole.
    while (error === undefined) {
      expect((await verifyBackup(target)).verdict).toBe('ok');
      rmSync(target);
      error = await givenUp(share);
    }
    expect([error.code, error.cause]).toEqual(['POOL_ABORTED', reason]);
    expect(readdirSync(folder).sort()).toEqual(before);
  }
  expect(pool.stats().backups).toMatchObject({ made: 0, failed: 0, givenUp: 3, running: 0 });
});

const reason = new Error('no more');

test.each([
  [
    'throws',
    () => {
      throw reason;
    },
  ],
  ['rejects with', () => Promise.reject(reason) as unknown as undefined],
])('what onProgress %s ends the backup, and is its error', async (_, onProgress) => {
  const { pool, folder } = await smallBank();
  // It is told at the end too, where nothing can be given up; here there is time for the first.
  const backup = pool.backup(join(folder, 'b'), { onProgress, pace: 0.1 });
  expect(await failure(backup)).toBe(reason);
  expect(readdirSync(folder)).not.toContain('b');
});

test('a backup that keeps the WAL from shrinking is named, with where it was called', async () => {
  const file = freshFile('app.db');
  await (await bank(file, 3)).close();
  const checkpoint = { walLimit: 65_536, holdLimit: 50 };
  const pool = openPool(file, { readers: 1, checkpoint });
  const kinds = new Set<string>();
  const controller = new AbortController();
  pool.on('walPinned', ({ pins }) => {
    for (const { kind, openedAt } of pins) {
      kinds.add(kind);
      if (kind === 'backup' && openedAt.includes('backup-end.test.ts')) controller.abort();
    }
  });
  const { signal } = controller;
  const ended = outcome(pool.backup(join(dirname(file), 'b'), { pace: 0.1, signal }));
  for (let id = 1; !signal.aborted; id = (id % 300) + 1) {
    await pool.run('UPDATE ballast SET bytes = randomblob(10000) WHERE id = ?', [id]);
  }
  expect(await ended).toBe('POOL_ABORTED');
  expect([...kinds]).toContain('backup');
});

test('close waits for a backup; when that takes too long, or by force, it is given up', async () => {
  for (const [options, code] of [
    [{ timeout: 600_000 }, 'resolved'],
    [{ timeout: 50 }, 'POOL_CLOSED'],
    [{ force: true }, 'POOL_CLOSED'],
  ] as const) {
    const file = freshFile('app.db');
    const pool = await bank(file, 4);
    let begun = () => {};
    const beginning = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const pace = code === 'resolved' ? 20 : 0.1;
    const backup = pool.backup(join(dirname(file), 'b'), { pace, onProgress: begun });
    const ended = outcome(backup);
    await beginning;
    await pool.close(options);
    expect(await ended).toBe(code);
    const kept = code === 'resolved' ? ['app.db', 'b'] : ['app.db'];
    expect(readdirSync(dirname(file)).sort()).toEqual(kept);
  }
});

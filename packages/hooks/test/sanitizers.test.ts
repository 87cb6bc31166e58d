import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { has, source, sqliteFolder } from '../scripts/compiler.ts';

const driver = fileURLToPath(new URL('driver.c', import.meta.url));
/** With the library's own code under the sanitizer too, which takes a minute to compile:
 * WHOLE=1 pnpm vitest run --project hooks */
const whole = process.env.WHOLE === '1';

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Why it cannot be tried here; undefined where it can. */
function missing(folder: string, sanitizer: string): string | undefined {
  if (process.platform !== 'linux') return 'tried on Linux alone';
  if (!has('cc')) return 'there is no C compiler';
  const file = join(folder, 'probe.c');
  writeFileSync(file, 'int main(void) { return 0; }');
  const libraries = whole ? [] : ['-lsqlite3'];
  const args = [file, `-fsanitize=${sanitizer}`, ...libraries, '-o', join(folder, 'probe')];
  if (spawnSync('cc', args).status === 0 && spawnSync(join(folder, 'probe')).status === 0) return;
  return `there is no ${sanitizer} sanitizer, or no libsqlite3 to link with`;
}

test.each(['address', 'thread'])(
  'nothing is wrong under the %s sanitizer',
  (sanitizer) => {
    const folder = freshFolder();
    const why = missing(folder, sanitizer);
    if (why !== undefined) return console.log(`The ${sanitizer} sanitizer is not tried: ${why}`);
    const headers = sqliteFolder() as string;
    const out = join(folder, 'driver');
    const sanitize = `-fsanitize=${sanitizer}`;
    const sqlite = whole
      ? ['-w', '-DSQLITE_THREADSAFE=2', join(headers, 'sqlite3.c'), '-lm']
      : ['-lsqlite3'];
    const flags = [
      '-std=gnu11',
      '-g',
      '-O1',
      sanitize,
      '-fno-sanitize-recover=all',
      `-I${headers}`,
    ];
    execFileSync('cc', [...flags, source, driver, ...sqlite, '-lpthread', '-ldl', '-o', out]);
    const seed = String(Date.now() % 1_000_000);
    const { status, stdout, stderr } = spawnSync(out, [seed], { encoding: 'utf8' });
    expect({ seed, status, stderr }).toEqual({ seed, status: 0, stderr: '' });
    expect(stdout).toMatch(/^interrupted \d+\n$/);
  },
  600_000,
);
